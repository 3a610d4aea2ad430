"""The generators of reasoning-gym that are tasks here, and for each the program that computes its answer.

A program is written from what the generator says of an item (`metadata`), never from its answer, and prints the answer
in the form that the generator asks for. A generator is here when such a program is short, needs the standard library
alone, and the generator's own scorer decides by value.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["GENERATORS", "Generator"]

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Generator:
    """One kind of question."""

    group: str
    """`train`, `held-out-templates` or `held-out-app`."""
    program: Callable[[Facts], str]
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the generator's own config."""

    @property
    def app(self) -> str:
        """reasoning-gym's category, as far as it divides the splits."""
        return "algorithmic" if self.group == "held-out-app" else "arithmetic"


def _expression(facts: Facts) -> str:
    return f"print({facts['expression']})"


def _whole_division(facts: Facts) -> str:
    return f"print({facts['expression'].replace('/', '//')})"


def _called(function: str) -> Callable[[Facts], str]:
    def program(facts: Facts) -> str:
        return f"import math\nprint(math.{function}({', '.join(map(str, facts['numbers']))}))"

    return program


def _bits(facts: Facts) -> str:
    return f'print(bin({facts["number"]}).count("1"))'


def _fraction(facts: Facts) -> str:
    above, below = facts["numerator"], facts["denominator"]
    return f"import math\nd = math.gcd({above}, {below})\nprint({above} // d, {below} // d, sep='/')"


def _factors(facts: Facts) -> str:
    return (
        f"n, d, found = {facts['number']}, 2, []\nwhile n > 1:\n    if n % d:\n        d += 1\n    else:\n"
        "        n //= d\n        found.append(d)\nprint(*found, sep=' × ')"  # noqa: RUF001  # the generator's own sign
    )


def _hexadecimal(facts: Facts) -> str:
    return f"print(hex({facts['problem']}))"


def _decimals(facts: Facts) -> str:
    words = [word if word in "+-" else f'D("{word}")' for word in facts["expression"].split()]
    return f"from decimal import Decimal as D\nprint({' '.join(words)})"


def _primes(facts: Facts) -> str:
    first, last = facts["start"], facts["end"]
    return (
        "def prime(n):\n    return n > 1 and all(n % d for d in range(2, int(n ** 0.5) + 1))\n"
        f"print(sum(prime(n) for n in range({first}, {last} + 1)))"
    )


def _base(facts: Facts) -> str:
    return (
        f'n, out = int("{facts["source_repr"]}", {facts["source_base"]}), ""\nwhile n:\n'
        f'    out = "0123456789abcdefghijklmnopqrstuvwxyz"[n % {facts["target_base"]}] + out\n'
        f'    n //= {facts["target_base"]}\nprint(out or "0")'
    )


GENERATORS: dict[str, Generator] = {
    "chain_sum": Generator("train", _expression, {"min_terms": 3, "max_terms": 6, "min_digits": 2, "max_digits": 4}),
    "basic_arithmetic": Generator("train", _whole_division, {"max_digits": 3}),
    "products": Generator("train", _expression, {"max_terms": 3, "min_digits": 2, "max_digits": 4}),
    "gcd": Generator("train", _called("gcd"), {"max_numbers": 3}),
    "count_bits": Generator("train", _bits),
    "fraction_simplification": Generator("train", _fraction, {"styles": ("plain",)}),
    "prime_factorization": Generator("train", _factors),
    "lcm": Generator("held-out-templates", _called("lcm")),
    "decimal_chain_sum": Generator("held-out-templates", _decimals),
    "bitwise_arithmetic": Generator("held-out-templates", _hexadecimal),
    "base_conversion": Generator("held-out-app", _base),
    "count_primes": Generator("held-out-app", _primes),
}
"""Name in reasoning-gym -> what is needed of it here."""
