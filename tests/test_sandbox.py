"""Programs that mean harm, or do it by mistake, in the sandbox's real process."""

import sys
from pathlib import Path

import pytest

from zoo.errors import EnvironmentFailure
from zoo.sandbox import Sandbox
from zoo.sandbox.system_calls import filter_program

pytestmark = pytest.mark.skipif(sys.platform != "linux" or filter_program() is None, reason="no seccomp table here")

SANDBOX = Sandbox(cpu_seconds=1, output_characters=40)


def test_a_program_prints_its_result() -> None:
    outcome = SANDBOX.run("import math\nprint(math.gcd(12, 18))")
    assert (outcome.output, outcome.error, outcome.ended, outcome.cut) == ("6", "", "done", False)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("1/0", "ZeroDivisionError: division by zero"),
        ("print(", "SyntaxError"),
        ("print('a' * 10**10)", "MemoryError"),
        ("def f():\n    return f()\nf()", "RecursionError"),
        ("import os\nwhile True:\n    os.fork()", "PermissionError"),
        ("import os\nos.execv('/bin/sh', ['sh'])", "PermissionError"),
        ("import os\nos.kill(os.getppid(), 9)", "PermissionError"),
        ("import time\ntime.sleep(60)", "PermissionError"),
        ("open('/etc/passwd').read()", "FileNotFoundError"),
        ("open('made', 'w')", "FileNotFoundError"),
        ("import os\nos.mkdir('/dev/shm/made')", "PermissionError"),
        ("import os\nos.listdir('/')", "FileNotFoundError"),
        ("import socket", "ModuleNotFoundError"),
        ("import subprocess", "ModuleNotFoundError"),
        ("import resource\nresource.setrlimit(resource.RLIMIT_CPU, (60, 60))", "ValueError"),
        ("input()", "EOFError"),
    ],
)
def test_what_it_may_not_do_ends_as_an_error_that_says_so(source: str, error: str) -> None:
    outcome = SANDBOX.run(source)
    assert outcome.ended == "error" and error in outcome.error, outcome


def test_the_kernel_refuses_a_socket_and_a_process_to_machine_code_too() -> None:
    source = (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.socket(2, 1, 0), ctypes.get_errno(), libc.fork(), ctypes.get_errno())"
    )
    outcome = SANDBOX.run(source)
    assert outcome.output == "-1 1 -1 1", outcome


def test_an_endless_loop_is_stopped_by_its_own_time() -> None:
    assert SANDBOX.run("while True:\n    pass").ended == "time"


def test_a_program_that_waits_for_itself_is_stopped_by_the_wall_clock() -> None:
    waiting = "import _thread\nlock = _thread.allocate_lock()\nlock.acquire()\nlock.acquire()"
    assert Sandbox(wall_seconds=2).run(waiting).ended == "time"


def test_endless_output_is_cut_and_costs_nothing() -> None:
    outcome = SANDBOX.run("while True:\n    print('x' * 100)")
    assert outcome.cut and outcome.output == "x" * 40


def test_the_environment_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    outcome = Sandbox().run("import os\nprint(sorted(os.environ))")
    assert outcome.output == "['LC_CTYPE', 'PYTHONHASHSEED']"


def test_descriptors_of_this_process_are_not_its_own(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as file:
        outcome = SANDBOX.run(f"import os\nos.write({file.fileno()}, b'x')")
    assert outcome.ended == "error" and (tmp_path / "secret").read_text() == ""


def test_the_same_program_prints_the_same() -> None:
    source = "import random\nprint({'b', 'a', 'c'}, random.random())"
    assert SANDBOX.run(source).output == SANDBOX.run(source).output != ""


def test_an_error_does_not_say_where_the_sandbox_lies() -> None:
    outcome = Sandbox().run("import sys\nsys.stderr.write('mine\\n')\n1/0")
    assert outcome.error == "ZeroDivisionError: division by zero"


def test_a_crash_is_an_outcome() -> None:
    assert SANDBOX.run("import ctypes\nctypes.string_at(0)").ended == "killed"


def test_a_machine_without_a_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(EnvironmentFailure, match="riscv64"):
        Sandbox().run("print(1)")
