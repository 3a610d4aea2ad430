"""What programs may ask of the page: its models, its tasks, an episode step by step, a comparison.

The same rooms and the same turns as the page's own; a program's episode has the same limits as a visitor's.
"""

from collections.abc import Iterator
from typing import Any

import gradio as gr
from answerers import Answerers, EndpointChoice
from compare_tab import workload_of
from episode import act
from keepsake import as_data
from measuring import Column, Comparison
from tasks import Tasks
from visit import Visit

from zoo.errors import ZooError

__all__ = ["offer"]

_AT_ONCE = 24
_MOST_MODELS = 4
_MOST_ROUNDS = 10


def offer(answerers: Answerers, tasks: Tasks) -> None:
    """Give the page its endpoints: `/models`, `/tasks`, `/act` and `/compare`."""

    def models() -> list[str]:
        """Who may act: names for `act` and, where they are files, for `compare`."""
        return answerers.names

    def offered() -> list[str]:
        """Tasks whose success the phone's state decides. Others may be asked for in any words, and are not judged."""
        return tasks.instructions

    def run(task: str, model: str) -> Iterator[dict[str, Any]]:
        """Let a model act on a task; after each step, the episode so far, as in the file that the page saves."""
        if model not in answerers.names:
            raise gr.Error(f"there is no model {model[:80]!r}; ask /models", print_exception=False)
        visit = Visit(answerers.spec, tasks.first)
        visit.begin(*tasks.find(task))
        try:
            for moment in act(visit, answerers, model, EndpointChoice(), pause_seconds=0.0):
                if moment.problem:
                    raise gr.Error(moment.problem, print_exception=False)
                yield as_data(visit)
        finally:
            visit.stop.set()

    def compare(models: list[str], task: str, prompt: str, rounds: int) -> dict[str, Any]:
        """Measure models on the screens of a task, or on a prompt where one is given; medians with quartiles."""
        known = [name for name in models if name in answerers.shelf.models][:_MOST_MODELS]
        if not known:
            raise gr.Error("none of these is a file of this page; ask /models", print_exception=False)
        work = workload_of(answerers, tasks, task, prompt, 64)
        columns = [Column(name, answerers.shelf.models[name].bytes) for name in known]
        seconds = answerers.settings.episode_seconds
        comparison = Comparison(answerers, work, columns, min(max(1, rounds), _MOST_ROUNDS), seconds)
        try:
            for _ in comparison.run():
                pass
        except ZooError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return {column.name: _figures(column, columns[0], work.acting) for column in columns}

    gr.api(models, api_name="models", concurrency_limit=_AT_ONCE)
    gr.api(offered, api_name="tasks", concurrency_limit=_AT_ONCE)
    gr.api(run, api_name="act", concurrency_limit=_AT_ONCE, concurrency_id="episodes")
    gr.api(compare, api_name="compare", concurrency_limit=_AT_ONCE, concurrency_id="comparisons")


def _figures(column: Column, first: Column, acting: bool) -> dict[str, Any]:
    return {
        **{name: vars(one) for name, one in column.spreads().items()},
        "peak_memory_bytes": column.peak_memory_bytes,
        "file_bytes": column.bytes,
        "load_seconds": column.load_seconds,
        "threads": column.threads,
        "agreement": column.agreement(first, acting),
        "answers": [said.text for said in column.answers],
    }
