"""The number of threads is measured, and the fewest of the fast ones are taken."""

from pathlib import Path

from zoo.serving import fastest_threads
from zoo.serving.threads import chosen


def test_fewer_threads_are_taken_when_more_gain_little() -> None:
    assert chosen({1: 100.0, 2: 180.0, 4: 185.0}) == 2
    assert chosen({1: 100.0, 2: 9.0}) == 1
    assert chosen({1: 50.0, 2: 99.0, 4: 190.0}) == 4


def test_a_file_is_measured(lively_file: Path) -> None:
    found = fastest_threads(lively_file, most=1)
    assert found.threads == 1 and found.tokens_per_second[1] > 1
