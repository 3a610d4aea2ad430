"""What runs in the sandbox's process: lock the doors, then run the program that came on standard input.

It is started by its path with nothing but the standard library, so it imports none of this package. The first line of
standard input is JSON (`limits` by name of `resource`, `filter` in hexadecimal), the rest is the program.
"""

import ctypes
import json
import os
import resource
import sys

__all__: list[str] = []

_NO_SANDBOX = 97
"""The exit code that says that the doors could not be locked; `zoo.sandbox` knows it."""
_DEATH_SIGNAL, _SECCOMP, _NO_NEW_PRIVILEGES = 1, 22, 38
_FILTER_MODE, _KILL_SIGNAL = 2, 9
# Imported before the doors are locked: afterwards nothing can be opened, and so nothing more be imported.
_LIBRARY = (
    "array", "bisect", "calendar", "cmath", "collections", "copy", "datetime", "decimal", "fractions", "functools",
    "heapq", "itertools", "math", "numbers", "operator", "random", "re", "statistics", "string", "time", "typing",
)  # fmt: skip


class _Program(ctypes.Structure):
    """`struct sock_fprog` of `linux/filter.h`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _lock(limits: dict[str, int], instructions: bytes) -> bool:
    """Whether every door is locked. Limits first: the filter refuses to change them."""
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, value))
    libc = ctypes.CDLL(None)
    libc.prctl(_DEATH_SIGNAL, _KILL_SIGNAL, 0, 0, 0)
    program = _Program(len(instructions) // 8, instructions)
    locked = libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
    return locked and bool(libc.prctl(_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0) == 0)


def _said(kind: type[BaseException], error: BaseException, trace: object) -> None:
    """One line in place of a traceback: its frames are this file's, whose place on the machine is nobody's business."""
    sys.stderr.write(f"{kind.__name__}: {error}\n" if str(error) else f"{kind.__name__}\n")


def _main() -> None:
    head, _, source = sys.stdin.read().partition("\n")
    told = json.loads(head)
    for name in _LIBRARY:
        __import__(name)
    # The same program prints the same, as far as it is up to the sandbox.
    sys.modules["random"].seed(0)
    if not _lock(told["limits"], bytes.fromhex(told["filter"])):
        os._exit(_NO_SANDBOX)
    sys.excepthook = _said
    exec(compile(source, "program", "exec"), {"__name__": "__main__"})  # noqa: S102  # it is what this is for


if __name__ == "__main__":
    _main()
