"""The first tab: watch the agent on the phone, step back and forth, take the phone yourself, hand it over again."""

from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from answerers import ENDPOINT, Answerers, EndpointChoice
from course import Over
from episode import Moment, act, replay
from keepsake import gif_link, json_link
from phone_view import phone
from steps_view import ending, progress, steps
from tasks import Tasks
from visit import LONGEST_TEXT, Visit

from zoo.actions import DEFAULT_FINISH, Action
from zoo.space import Course

__all__ = ["AgentTab"]

_SESSION_SECONDS = 1800
_VISITORS = 24
"""Episodes at once; more wait in Gradio's queue. They take turns computing, step by step."""
_CHIPS = 12


class AgentTab:
    """The tab's parts and what happens to them. `folder` holds the scripts."""

    def __init__(self, answerers: Answerers, tasks: Tasks, folder: Path) -> None:
        self.answerers, self.tasks = answerers, tasks
        self._build(folder)
        self._connect()

    def _build(self, folder: Path) -> None:
        names = self.answerers.names
        self.visit = gr.State(None, time_to_live=_SESSION_SECONDS, delete_callback=_leave)
        with gr.Row(elem_id="stage", equal_height=False):
            with gr.Column(elem_id="controls", min_width=280):
                self.task = gr.Dropdown(
                    self.tasks.instructions,
                    value=self.tasks.first.instruction,
                    label="Task",
                    info="Pick one, or write your own",
                    allow_custom_value=True,
                    filterable=True,
                    elem_id="task",
                )
                self.model = gr.Dropdown(
                    names, value=self.answerers.first, label="Who acts", filterable=False, elem_id="who"
                )
                with gr.Group(visible=self.answerers.first == ENDPOINT) as self.endpoint:
                    self.url = gr.Textbox(label="Endpoint", placeholder="http://127.0.0.1:8080/v1", max_length=200)
                    self.served = gr.Textbox(label="Its model", placeholder="default", max_length=200)
                with gr.Row(elem_classes="buttons"):
                    self.run = gr.Button("Run", variant="primary", min_width=80)
                    self.stop = gr.Button("Stop", interactive=False, min_width=80)
                    self.hand = gr.Button("Hand over", interactive=False, min_width=110)
                if self.tasks.courses:
                    self.chips = gr.HTML(_chips(self.tasks.courses), js_on_load=_clicks("pick"), elem_id="recorded")
            with gr.Column(elem_id="device", min_width=260):
                self.screen = gr.HTML(js_on_load=(folder / "phone.js").read_text("utf-8"), elem_id="phone")
                self.slider = gr.Slider(0, 1, 0, step=1, label="Step", interactive=False, elem_id="slider", buttons=[])
                with gr.Accordion("Use the phone yourself", open=False, elem_id="hand"):
                    self.text = gr.Textbox(
                        label="Text", info="Typed into the chosen field, or said when you finish",
                        max_length=LONGEST_TEXT, max_lines=1,
                    )  # fmt: skip
                    with gr.Row(elem_classes="buttons"):
                        self.type = gr.Button("Type it", size="sm", min_width=80)
                        self.finish = gr.Button("Finish", size="sm", min_width=80)
                        self.anew = gr.Button("Start over", size="sm", min_width=80)
            with gr.Column(elem_id="standing", min_width=280):
                self.status = gr.HTML(elem_id="status")
            with gr.Column(elem_id="course", min_width=280):
                self.steps = gr.HTML(js_on_load=_clicks("show"), elem_id="steps")
                with gr.Row(elem_classes="buttons"):
                    self.json = gr.Button("Save as JSON", size="sm", min_width=110)
                    self.gif = gr.Button("Save as GIF", size="sm", min_width=110)
                self.saved = gr.HTML(js_on_load=(folder / "save.js").read_text("utf-8"), elem_id="saved")

    def _connect(self) -> None:
        parts = [self.visit, self.screen, self.steps, self.status, self.slider, self.run, self.stop, self.hand]
        who = [self.model, self.url, self.served]
        hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        running = {**hidden, "concurrency_limit": _VISITORS, "concurrency_id": "episodes", "outputs": parts}
        quick = {**hidden, "concurrency_limit": _VISITORS, "concurrency_id": "looking", "outputs": parts}
        saving = {**quick, "outputs": [self.saved]}
        self.run.click(self._run, [self.visit, self.task, *who], **running)
        self.hand.click(self._hand_over, [self.visit, *who], **running)
        self.stop.click(_stop, [self.visit], **{**quick, "outputs": None})
        if self.tasks.courses:
            self.chips.pick(self._replay, [self.visit], **{**running, "outputs": [*parts, self.task]})
        self.screen.touch(self._touch, [self.visit], **quick)
        self.type.click(partial(self._say, "text"), [self.visit, self.text], **quick)
        self.finish.click(partial(self._say, "finish"), [self.visit, self.text], **quick)
        gr.on([self.anew.click, self.task.input], self._begin, [self.visit, self.task], **quick)
        self.slider.input(self._look, [self.visit, self.slider], trigger_mode="always_last", **quick)
        self.steps.show(self._jump, [self.visit], **quick)
        self.json.click(partial(_save, json_link), [self.visit], **saving)
        self.gif.click(partial(_save, gif_link), [self.visit], **saving)
        self.model.input(_endpoint_shown, [self.model], **{**quick, "outputs": [self.endpoint]})

    def open(self, blocks: gr.Blocks) -> None:
        """Give every visitor a phone of their own when the page opens."""
        parts = [self.visit, self.screen, self.steps, self.status, self.slider, self.run, self.stop, self.hand]
        blocks.load(
            self._opened, None, parts, show_progress="hidden", api_visibility="private", concurrency_limit=_VISITORS
        )

    def _opened(self) -> dict[Any, Any]:
        return self._view(Visit(self.answerers.spec, self.tasks.first), Moment(0))

    def _run(self, visit: Visit | None, task: str, name: str, url: str, served: str) -> Iterator[dict[Any, Any]]:
        visit = self._mine(visit)
        if not _free(visit):
            return
        visit.begin(*self.tasks.find(task or ""))
        yield from self._acted(visit, name, EndpointChoice(url, served))

    def _hand_over(self, visit: Visit | None, name: str, url: str, served: str) -> Iterator[dict[Any, Any]]:
        visit = self._mine(visit)
        if not _free(visit):
            return
        visit.stop.clear()
        visit.ended = ""
        yield from self._acted(visit, name, EndpointChoice(url, served))

    def _acted(self, visit: Visit, name: str, endpoint: EndpointChoice) -> Iterator[dict[Any, Any]]:
        for moment in act(visit, self.answerers, name, endpoint):
            yield self._view(visit, moment)

    def _replay(self, visit: Visit | None, event: gr.EventData) -> Iterator[dict[Any, Any]]:
        visit = self._mine(visit)
        course = self.tasks.courses[_number(event, "index", len(self.tasks.courses) - 1)]
        if not _free(visit):
            return
        for moment in replay(visit, course):
            yield {**self._view(visit, moment), self.task: course.task.instruction}

    def _touch(self, visit: Visit | None, event: gr.EventData) -> dict[Any, Any]:
        visit = self._mine(visit)
        action = _touched(event)
        if action and not visit.running:
            visit.touch(action)
        return self._view(visit, Moment(len(visit.answers)))

    def _say(self, call: str, visit: Visit | None, text: str) -> dict[Any, Any]:
        visit = self._mine(visit)
        said = (text or "")[:LONGEST_TEXT] or (DEFAULT_FINISH if call == "finish" else "")
        if said and not visit.running:
            visit.touch(Action(call, (said,)))
        return self._view(visit, Moment(len(visit.answers)))

    def _begin(self, visit: Visit | None, task: str) -> dict[Any, Any]:
        visit = self._mine(visit)
        visit.stop.set()
        if not visit.running:
            visit.begin(*self.tasks.find(task or ""))
        return self._view(visit, Moment(0))

    def _look(self, visit: Visit | None, step: float) -> dict[Any, Any]:
        visit = self._mine(visit)
        at = min(max(0, int(step or 0)), len(visit.answers))
        shown = self._view(visit, Moment(at))
        return {part: shown[part] for part in (self.visit, self.screen, self.steps)}

    def _jump(self, visit: Visit | None, event: gr.EventData) -> dict[Any, Any]:
        visit = self._mine(visit)
        return self._view(visit, Moment(_number(event, "step", len(visit.answers))))

    def _mine(self, visit: Visit | None) -> Visit:
        """This visitor's phone; a new one when the old one was given back after a long pause."""
        return visit if visit is not None else Visit(self.answerers.spec, self.tasks.first)

    def _view(self, visit: Visit, moment: Moment) -> dict[Any, Any]:
        count, busy = len(visit.answers), visit.running
        over = not busy and isinstance(visit.now, Over)
        last = moment.step == count
        shown = phone(
            visit.screen(moment.step),
            visit.action(moment.step),
            touchable=last and not busy and not over,
            thinking=busy and last,
        )
        if moment.problem:
            status = f'<p class="status missed" role="alert"><b>That did not work</b> {escape(moment.problem)}</p>'
        else:
            status = progress(visit, moment.step, moment.doing, moment.share) if busy else ending(visit)
        return {
            self.visit: visit,
            self.screen: shown,
            self.steps: steps(visit, moment.step),
            self.status: status,
            self.slider: gr.Slider(maximum=max(1, count), value=moment.step, interactive=not busy and count > 0),
            self.run: gr.Button(interactive=not busy),
            self.stop: gr.Button(interactive=busy),
            self.hand: gr.Button(interactive=not busy and count > 0 and not over),
        }


def _leave(visit: Visit | None) -> None:
    """A closed tab or a long pause: what is under way stops at once."""
    if visit is not None:
        visit.stop.set()


def _stop(visit: Visit | None) -> None:
    _leave(visit)


def _free(visit: Visit) -> bool:
    """Whether nothing is under way on this phone."""
    if visit.running:
        gr.Info("An episode is under way here; stop it first.")
    return not visit.running


def _save(make: Callable[[Visit], str], visit: Visit | None) -> str:
    if visit is None or not visit.answers:
        gr.Info("There is no step yet.")
        return ""
    return make(visit)


def _endpoint_shown(name: str) -> Any:
    return gr.Group(visible=name == ENDPOINT)


def _number(event: gr.EventData, name: str, most: int) -> int:
    """A number that a visitor's browser sent; anything else is 0."""
    value = getattr(event, "_data", None)
    found = value.get(name) if isinstance(value, dict) else None
    return min(max(0, found), most) if isinstance(found, int) and not isinstance(found, bool) else 0


_SWIPES = {"up": "up", "down": "down"}


def _touched(event: gr.EventData) -> Action | None:
    """What a visitor's finger did; None for what no finger can."""
    data = getattr(event, "_data", None)
    if not isinstance(data, dict):
        return None
    call = data.get("call")
    number = _number(event, "number", 999)
    if call in ("back", "home"):
        return Action(call)
    if call in ("tap", "long_press") and number:
        return Action(call, (number,))
    if call == "swipe" and number:
        return Action("swipe", (number, _SWIPES.get(str(data.get("direction")), "up"), "long"))
    return None


def _clicks(event: str) -> str:
    """A script: a click on a button with `data-step` or `data-index` sends an event of this name."""
    return (
        "element.addEventListener('click', (e) => { const b = e.target.closest('button'); "
        f"if (b) trigger('{event}', {{step: Number(b.dataset.step || 0), index: Number(b.dataset.index || 0)}}); }});"
    )


def _chips(courses: list[Course]) -> str:
    """A button for each recorded episode."""
    items = "".join(
        f'<li><button type="button" data-index="{at}" class="{"solved" if course.success else "missed"}">'
        f'<span aria-hidden="true">{"✓" if course.success else "✗"}</span> {escape(course.task.instruction)}'
        f'<span class="unseen"> ({"solved" if course.success else "not solved"})</span></button></li>'
        for at, course in enumerate(courses[:_CHIPS])
    )
    by = escape(", ".join(dict.fromkeys(course.by for course in courses)))
    return f'<h2>Recorded in evaluation <span>{by}</span></h2><ul class="chips">{items}</ul>'
