"""An episode beside the phone as HTML: what was said and done at each step, what it cost, and how it ended."""

from html import escape

from course import Over
from visit import Cost, Visit

from zoo.actions import read_answer, write

__all__ = ["ending", "progress", "steps"]

_ENDS = {
    "finish": "it said that it was finished",
    "world": "the phone ended it",
    "rounds": "it used up its steps",
    "repeat": "it did the same thing five times in a row",
    "time": "its time was up",
    "error": "the phone broke down",
    "stopped": "you stopped it",
}
_BY = {"you": "you", "recorded": "recorded", "agent": ""}
_SHOWN = 600


def steps(visit: Visit, shown: int) -> str:
    """A list with a button for each step; `shown` is the one whose screen is on display."""
    if not visit.answers:
        return (
            '<p class="empty">Each step will appear here: what the agent thinks, what it remembers, what it does, '
            "and what that costs.</p>"
        )
    items = [
        _step(number, answer, cost, number == shown)
        for number, (answer, cost) in enumerate(zip(visit.answers, visit.costs, strict=True))
    ]
    return f'<ol class="steps">{"".join(items)}</ol>'


def _step(number: int, answer: str, cost: Cost, shown: bool) -> str:
    said = read_answer(answer)
    call = write(said.action) if said.action else "no readable call"
    prose = _line("thinks", said.reasoning) + _line("remembers", said.assessment)
    if not said.action and not prose:
        prose = _line("said", answer or "nothing")
    return (
        f'<li class="{"shown" if shown else ""}"><button type="button" data-step="{number}" '
        f'{"aria-current=step" if shown else ""}><span class="number">{number + 1}</span>'
        f'<code class="{"" if said.action else "unreadable"}">{escape(call[:_SHOWN])}</code>'
        f'<span class="cost">{_cost(cost)}</span></button>{prose}</li>'
    )


def _line(word: str, text: str | None) -> str:
    return f"<p><b>{word}</b> {escape(text[:_SHOWN])}</p>" if text else ""


def _cost(cost: Cost) -> str:
    if cost.by == "you":
        return '<span class="tag">you</span>'
    parts = [f"{cost.seconds:.2f} s"] if cost.seconds else []
    if cost.tokens:
        parts.append(f"{cost.tokens} tokens")
    if cost.by == "recorded":
        parts.insert(0, '<span class="tag">recorded</span>')
    return " · ".join(parts) or '<span class="tag">no model</span>'


def progress(visit: Visit, step: int, doing: str, share: float | None = None) -> str:
    """The line above the steps while an episode is under way. `step`: counted from 0. `share`: of what
    is being done, where that is known."""
    bar = f'<progress max="1"{f" value={share:.3f}" if share is not None else ""} aria-label="{escape(doing)}">'
    spent = f" · {visit.computed_seconds:.1f} s of computing" if visit.computed_seconds else ""
    return f'<p class="status busy">Step {step + 1} · {escape(doing)}{spent}</p>{bar}</progress>'


def ending(visit: Visit) -> str:
    """How the episode stands when nobody acts."""
    now = visit.now
    if isinstance(now, Over):
        return _verdict(visit, now) if visit.checked else _unchecked(now.ended, len(now.steps))
    if visit.ended:
        return _banner("open", "Not finished", f"{_ENDS[visit.ended]} after {_count(len(visit.answers), 'step')}.")
    if visit.answers:
        return _banner(
            "open", "Under way", f"{_count(len(visit.answers), 'step')} so far; hand over, or go on yourself."
        )
    return _banner("open", visit.task.instruction, "Press Run, tap the phone yourself, or play a recorded episode.")


def _verdict(visit: Visit, over: Over) -> str:
    took = f"{_count(len(over.steps), 'step')}; the expert needs {visit.expert_steps}."
    spent = f" {visit.computed_seconds:.1f} s of computing." if visit.computed_seconds else ""
    if over.success:
        return _banner("solved", "Solved", f"The phone's state is what the task asked for. {took}{spent}")
    reached = f"{sum(over.sub_goals)} of {len(over.sub_goals)} sub-goals reached. " if over.sub_goals else ""
    return _banner("missed", "Not solved", f"{reached}Ended because {_ENDS[over.ended]}. {took}{spent}")


def _unchecked(ended: str, count: int) -> str:
    why = "No check of the phone's state exists for a task in other words; judge for yourself."
    return _banner("open", "Ended", f"{_count(count, 'step')}, because {_ENDS[ended]}. {why}")


def _banner(kind: str, head: str, text: str) -> str:
    return f'<p class="status {kind}"><b>{escape(head)}</b> {escape(text)}</p>'


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
