"""Python programs of a model, run in a process of its own that can compute and print and nothing else.

It keeps a model's mistakes, and what it may learn to try, from this machine: an endless loop, all memory, endless
output, new processes, files (to read or write), the network, this process' environment. `inside` sets resource limits
and a seccomp filter (`system_calls`) that lets through what computing needs and refuses the rest, before the program
begins; the process gets an empty environment and no descriptor but its three. A program can import a list of the
standard library's modules and no others, cannot sleep, and is run the same way each time (hashes and `random` seeded).

It is no jail for a determined attacker: the kernel's own calls that are left, `mmap` and `futex` among them, are
reached directly, the processor is shared, nothing bounds how often it is started, and it runs as the same user. There
are no namespaces: what they would hide cannot be reached for lack of a call. Linux on 64-bit x86 or ARM only.
"""

import json
import os
import platform
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal

from zoo.errors import EnvironmentFailure
from zoo.sandbox.system_calls import filter_program

__all__ = ["Ended", "Outcome", "Sandbox"]

Ended = Literal["done", "error", "time", "killed"]
"""`error`: an exception, out of memory or too much output among them. `time`: a limit of time. `killed`: a crash."""

_NO_SANDBOX = 97
_INSIDE = Path(__file__).parent / "inside.py"
# Not -I: it would also refuse PYTHONHASHSEED, which makes sets print in one order. The environment holds nothing else.
_COMMAND = (sys.executable, "-s", "-P", "-S", "-B", "-u", "-X", "utf8", str(_INSIDE))
_ENVIRONMENT = {"PYTHONHASHSEED": "0"}
_WIDEST_CHARACTER_BYTES = 4
_ERROR_CHARACTERS = 200


@dataclass(frozen=True)
class Outcome:
    """What a program left behind."""

    output: str
    """Standard output, stripped, at most `output_characters`."""
    error: str
    """The last line of standard error; empty when nothing was said there."""
    ended: Ended
    cut: bool
    """Whether there was more output than was kept."""
    seconds: float


@dataclass(frozen=True)
class Sandbox:
    """The limits of a program.

    >>> Sandbox().run("print(6 * 7)").output
    '42'
    """

    cpu_seconds: int = 2
    wall_seconds: float = 30.0
    """Wide: a program cannot wait, so that only a busy machine or a lock that it holds itself comes here."""
    memory_bytes: int = 512 << 20
    """Of address space, what Python itself takes included."""
    output_characters: int = 400

    def run(self, source: str) -> Outcome:
        """Run a program to its end or its limit. Whatever it does is an outcome.

        Raises EnvironmentFailure when this machine cannot keep it in.
        """
        started = perf_counter()
        output, error = os.memfd_create("output"), os.memfd_create("error")
        try:
            code = self._code(source, output, error)
            kept = self._text(output, self._output_bytes)
            last = self._text(error, self._output_bytes).strip().rsplit("\n", 1)[-1][:_ERROR_CHARACTERS]
            cut = len(kept.strip()) > self.output_characters
            return Outcome(
                kept.strip()[: self.output_characters], last, _ended(code), cut, perf_counter() - started
            )  # fmt: skip
        finally:
            os.close(output)
            os.close(error)

    def _code(self, source: str, output: int, error: int) -> int | None:
        """The exit code; None when the wall clock ended it."""
        process = subprocess.Popen(
            _COMMAND, stdin=subprocess.PIPE, stdout=output, stderr=error, env=_ENVIRONMENT, cwd="/",
            start_new_session=True,
        )  # fmt: skip
        try:
            process.communicate(self._told(source), timeout=self.wall_seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            process.kill()
            process.wait()
        if process.returncode == _NO_SANDBOX:
            raise EnvironmentFailure("this kernel refuses a seccomp filter, and no program of a model runs without one")
        return process.returncode

    def _told(self, source: str) -> bytes:
        """What `inside` reads."""
        instructions = filter_program()
        if instructions is None or sys.platform != "linux":
            raise EnvironmentFailure(
                f"the sandbox needs Linux on x86_64 or aarch64; this is {sys.platform} on {platform.machine()}"
            )
        limits = {
            "RLIMIT_CPU": self.cpu_seconds,
            "RLIMIT_AS": self.memory_bytes,
            "RLIMIT_FSIZE": self._output_bytes,
            "RLIMIT_CORE": 0,
        }
        head = json.dumps({"limits": limits, "filter": instructions.hex()})
        return f"{head}\n{source}".encode("utf-8", "replace")

    @property
    def _output_bytes(self) -> int:
        """The file that output goes to can grow no larger, so that endless output costs nothing."""
        return (self.output_characters + 1) * _WIDEST_CHARACTER_BYTES

    @staticmethod
    def _text(descriptor: int, most: int) -> str:
        return os.pread(descriptor, most, 0).decode("utf-8", "replace")


def _ended(code: int | None) -> Ended:
    if code is None or code in (-signal.SIGXCPU, -signal.SIGKILL):
        return "time"
    return "killed" if code < 0 else "error" if code else "done"
