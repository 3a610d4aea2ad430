"""The second tab: files of this model, and others of the zoo, side by side on the same work."""

import json
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from html import escape
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr
from answerers import Answerers
from compare_files import as_csv, as_picture
from compare_view import bars, conditions, replay, table
from keepsake import link
from measuring import Column, Comparison
from model_process import CONTEXT
from neighbours import others
from stored_figures import latency_table, published_tables
from tasks import Tasks
from workload import LONGEST_PROMPT, Workload, of_prompt, of_task

from zoo.errors import ZooError
from zoo.records import StageRecord

__all__ = ["CompareTab", "Held", "workload_of"]

_SESSION_SECONDS = 1800
_VISITORS = 8
_MOST_COLUMNS = 4
_MOST_ROUNDS = 10
_MOST_TOKENS = 256
_SCREENS, _PROMPTED = "A task's screens", "One prompt"
_PROMPT = "Explain in two sentences what an alarm clock is for."


class Held:
    """What one visitor has measured, and how to stop it."""

    def __init__(self) -> None:
        self.stop = Event()
        self.running = False
        self.columns: list[Column] = []
        self.workload: Workload | None = None

    def __deepcopy__(self, memo: dict[int, object]) -> "Held":
        return Held()


class CompareTab:
    """The tab's parts and what happens to them."""

    def __init__(
        self, answerers: Answerers, tasks: Tasks, folder: Path, title: str, latencies: Sequence[StageRecord]
    ) -> None:
        self.answerers, self.tasks, self.title = answerers, tasks, title
        self._build(folder, latencies)
        self._connect()

    def _build(self, folder: Path, latencies: Sequence[StageRecord]) -> None:
        self.held = gr.State(None, time_to_live=_SESSION_SECONDS, delete_callback=_leave)
        gr.HTML(latency_table(latencies), elem_classes="figures")
        with gr.Row(elem_id="asked", equal_height=False):
            with gr.Column(min_width=260):
                names = self.names
                self.models = gr.CheckboxGroup(names, value=names[:2], label="Side by side", elem_id="sides")
                self.more = gr.Button("Others of the zoo", size="sm", min_width=140)
            with gr.Column(min_width=260):
                self.work = gr.Radio([_SCREENS, _PROMPTED], value=_SCREENS, label="The work")
                self.task = gr.Dropdown(
                    self.tasks.instructions, value=self.tasks.first.instruction, label="Task", filterable=True
                )
                self.prompt = gr.Textbox(
                    _PROMPT, label="Prompt", lines=3, max_length=LONGEST_PROMPT, visible=False
                )  # fmt: skip
            with gr.Column(min_width=200):
                self.rounds = gr.Slider(1, _MOST_ROUNDS, 3, step=1, label="Rounds", buttons=[])
                self.tokens = gr.Slider(
                    8, 256, 64, step=8, label="Longest answer, tokens", visible=False, buttons=[]
                )  # fmt: skip
        with gr.Row(elem_classes="buttons"):
            self.run = gr.Button("Compare", variant="primary", min_width=120, interactive=bool(self.names))
            self.stop = gr.Button("Stop", interactive=False, min_width=80)
        nothing = "" if self.names else "No model file can be opened here, so there is nothing to compare."
        self.status = gr.HTML(f'<p class="status open">{nothing}</p>' if nothing else "", elem_id="compared-status")
        self.table = gr.HTML(elem_id="compared", elem_classes="figures")
        self.bars = gr.HTML(elem_id="compared-bars")
        self.replay = gr.HTML(js_on_load=(folder / "replay.js").read_text("utf-8"), elem_id="replay")
        self.conditions = gr.HTML(elem_id="conditions")
        with gr.Row(elem_classes="buttons", visible=False) as self.saving:
            self.csv = gr.Button("Save as CSV", size="sm", min_width=110)
            self.picture = gr.Button("Save as picture", size="sm", min_width=110)
        self.saved = gr.HTML(js_on_load=(folder / "save.js").read_text("utf-8"), elem_classes="hidden")
        told = json.loads((folder / "published.json").read_text("utf-8"))
        with gr.Accordion("Published elsewhere, not measured here", open=False):
            gr.HTML(published_tables(told), elem_classes="figures")

    def _connect(self) -> None:
        hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        shown = [self.held, self.status, self.table, self.bars, self.replay, self.conditions]
        parts = [*shown, self.saving, self.run, self.stop]
        asked = [self.held, self.models, self.work, self.task, self.prompt, self.rounds, self.tokens]
        self.run.click(self._compare, asked, parts, concurrency_limit=_VISITORS, concurrency_id="comparisons", **hidden)
        self.stop.click(_leave, [self.held], None, **hidden)
        self.more.click(self._others, None, [self.models, self.run], **hidden)
        self.work.input(_asked, [self.work], [self.task, self.prompt, self.tokens], **hidden)
        self.csv.click(_csv, [self.held], [self.saved], **hidden)
        self.picture.click(partial(_picture, self.title), [self.held], [self.saved], **hidden)

    @property
    def names(self) -> list[str]:
        """The models that can be compared now."""
        return list(self.answerers.shelf.models)

    def _others(self) -> tuple[Any, Any]:
        """What else the Hub's index lists, to be chosen beside this page's own."""
        try:
            added = self.answerers.shelf.add(others(self.answerers.settings))
        except ZooError as error:
            gr.Info(f"{error}.")
            return gr.skip(), gr.skip()
        gr.Info(f"Added: {', '.join(added)}." if added else "The zoo has no other file that can be opened here.")
        return gr.CheckboxGroup(self.names), gr.Button(interactive=bool(self.names))

    def _compare(
        self, held: Held | None, names: list[str], work: str, task: str, prompt: str, rounds: float, tokens: float
    ) -> Iterator[dict[Any, Any]]:
        held = held or Held()
        chosen = [name for name in names or [] if name in self.names][:_MOST_COLUMNS]
        if held.running or not chosen:
            gr.Info("A comparison is under way here." if held.running else "Choose at least one model.")
            return
        held.workload = workload_of(self.answerers, self.tasks, task, prompt if work == _PROMPTED else "", int(tokens))
        held.columns = [Column(name, self.answerers.shelf.models[name].bytes) for name in chosen]
        held.running = True
        held.stop.clear()
        try:
            problem = yield from self._measured(held, min(max(1, int(rounds)), _MOST_ROUNDS))
        finally:
            held.running = False
        yield self._view(held, problem=problem, finished=True)

    def _measured(self, held: Held, rounds: int) -> Generator[dict[Any, Any], None, str]:
        """Everything there is to see on the way; returns what went wrong, in words for visitors."""
        assert held.workload is not None
        seconds = 2 * self.answerers.settings.episode_seconds
        comparison = Comparison(self.answerers, held.workload, held.columns, rounds, seconds, held.stop.is_set)
        try:
            for event in comparison.run():
                yield self._view(held, event.text, event.done)
        except ZooError as error:
            return str(error)
        return ""

    def _view(
        self, held: Held, doing: str = "", share: float | None = None, problem: str = "", finished: bool = False
    ) -> dict[Any, Any]:
        assert held.workload is not None
        measured = [column for column in held.columns if column.rounds]
        whole = finished and bool(measured) and len(measured) == len(held.columns)
        status = f'<p class="status busy">{escape(doing)}</p>{_bar(share)}' if doing else ""
        if problem:
            status = f'<p class="status missed" role="alert"><b>That did not work</b> {escape(problem)}</p>'
        elif finished:
            said = escape(held.workload.name[:200]) if measured else "Stopped before anything was measured."
            status = f'<p class="status open"><b>{"Measured" if measured else "Nothing"}</b> {said}</p>'
        return {
            self.held: held,
            self.status: status,
            self.table: table(measured, held.workload) if measured else "",
            self.bars: bars(measured) if measured else "",
            self.replay: replay(measured, held.workload) if finished and measured else "",
            self.conditions: conditions(measured, held.workload, CONTEXT) if measured else "",
            self.saving: gr.Row(visible=whole),
            self.run: gr.Button(interactive=not held.running),
            self.stop: gr.Button(interactive=held.running),
        }


def workload_of(answerers: Answerers, tasks: Tasks, task: str, prompt: str, tokens: int) -> Workload:
    """The prompt where there is one, else the screens of the task."""
    if prompt and prompt.strip():
        return of_prompt(prompt, min(max(8, tokens), _MOST_TOKENS))
    found, _ = tasks.find(task or "")
    return of_task(answerers.spec, found)


def _leave(held: Held | None) -> None:
    if held is not None:
        held.stop.set()


def _asked(work: str) -> tuple[Any, Any, Any]:
    prompt = work == _PROMPTED
    return gr.Dropdown(visible=not prompt), gr.Textbox(visible=prompt), gr.Slider(visible=prompt)


def _csv(held: Held | None) -> str:
    if held is None or held.workload is None:
        return ""
    return link("comparison.csv", "text/csv", as_csv(held.columns, held.workload))


def _picture(title: str, held: Held | None) -> str:
    if held is None or held.workload is None:
        return ""
    return link("comparison.png", "image/png", as_picture(title, held.columns, held.workload))


def _bar(share: float | None) -> str:
    value = f" value={share:.3f}" if share is not None else ""
    return f'<progress max="1"{value} aria-label="How far the comparison is"></progress>'
