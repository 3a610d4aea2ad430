"""Reasoning that a teacher writes for steps whose right call is known, in OpenPhone's manner (arXiv 2510.22009).

First the teacher is shown the step and its call and says in five lines why it is right; then a writer puts that into
the first person and the three tags. What comes back is taken only when the tags parse and hold the known call; else
the writer is asked again. Within an episode the teacher's state assessments are the memory of the steps that follow.
Every answer is kept on disk, so that a stage that was killed pays for none twice.
"""

import base64
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.actions import Action, parse, read_answer, same, write, write_answer
from zoo.answering import KeptAnswers, endpoint_of, seed_number
from zoo.data.pictures import Picture, suffix_of
from zoo.data.samples import Sample, answer_of
from zoo.data.trajectories import Trajectory, prompt_of
from zoo.records import Progress
from zoo.schema import AgentSpec, ReasonSpec

__all__ = ["Teacher", "accepted", "open_teacher", "reasoned"]

_PARTS = ("Current State", "Required Change", "Action Need")
_EXPLAIN = (
    "You are an expert in operating phones. You are shown one step of an agent: its task, what it noted before, the "
    "screen, and the call that is known to be right. Say why it is right, in five lines: Current State, Task Progress, "
    "Next Required Action, Expected Outcome, Potential Issues. Speak of what can be seen; never of having been told."
)
_WRITE = (
    "Rewrite the explanation of one step in the first person, as the thoughts of the agent before it acts, who has not "
    "been told the answer. Answer with these three parts and nothing else:\n"
    "<REASONING>{reasoning}</REASONING>\n<STATE_ASSESSMENT>{assessment}</STATE_ASSESSMENT>\n"
    "<CALLED_FUNCTION>{call}</CALLED_FUNCTION>\nCopy the call as it stands."
)
_FORMS = {
    "openphone": ("why this step is the right one", "\n".join(f"{part}: one sentence" for part in _PARTS)),
    "terse": ("at most eight words", "at most twelve words: where I am; what I need next"),
}


@dataclass(frozen=True)
class Teacher:
    """Two endpoints, or one twice, whose answers are kept."""

    spec: ReasonSpec
    style: str
    teacher: KeptAnswers
    writer: KeptAnswers

    def answer(
        self, prompt: Sequence[dict[str, Any]], action: Action, pictures: Sequence[Picture], seed: str
    ) -> str | None:
        """The three-tag answer of one step; None when no try of the writer fits.

        Raises ModelError when an endpoint refuses, is not there or stays busy.
        """
        asked = _question(prompt, action, pictures)
        why = self._complete(self.teacher, asked, f"{seed} why").text
        reasoning, assessment = _FORMS[self.style]
        form = _WRITE.format(reasoning=reasoning, assessment=assessment, call=write(action))
        chat = [{"role": "system", "content": form}, {"role": "user", "content": f"{why}\n\nCall: {write(action)}"}]
        for attempt in range(self.spec.tries):
            said = self._complete(self.writer, chat, f"{seed} {attempt}").text
            if found := accepted(said, action, self.style):
                return found
        return None

    def _complete(self, kept: KeptAnswers, chat: Sequence[dict[str, Any]], seed: str) -> Any:
        return kept.complete(chat, self.spec.tokens, temperature=self.spec.temperature, seed=seed_number(seed))


def open_teacher(spec: ReasonSpec, style: str, folder: Path) -> Teacher:
    """A teacher whose answers are kept below `folder`."""
    teacher = endpoint_of(spec.teacher)
    writer = endpoint_of(spec.writer) if spec.writer else teacher  # one pace for both where they are the same
    return Teacher(spec, style, KeptAnswers(folder / "teacher", teacher), KeptAnswers(folder / "writer", writer))


def accepted(text: str, action: Action, style: str) -> str | None:
    """The answer as it is learned, with the call in its canonical form; None when it is not to be learned.

    AndroidLab's `type(` is OpenPhone's `text(`.
    """
    read = read_answer(text.replace("type(", "text("))
    if not read.reasoning or not read.assessment or read.extra_text or not same(parse(read.called or ""), action):
        return None
    if style == "openphone" and not all(part in read.assessment for part in _PARTS):
        return None
    return write_answer(read.reasoning, read.assessment, action)


def reasoned(
    agent: AgentSpec,
    teacher: Teacher,
    chosen: Sequence[tuple[int, Sample]],
    trajectories: Sequence[Trajectory],
    seed: int,
    progress: Progress,
) -> dict[int, dict[str, Any] | None]:
    """Position of each chosen row -> the row as the teacher words it, None when it cannot be.

    Steps of one episode are asked for one after the other, episodes side by side.
    """
    episodes: dict[int, list[tuple[int, Sample]]] = {}
    for position, sample in chosen:
        # A row that is no step of an episode stands alone; positions are never negative.
        episodes.setdefault(sample.origin[0] if sample.origin else -1 - position, []).append((position, sample))
    done = 0

    def work(group: list[tuple[int, Sample]]) -> dict[int, dict[str, Any] | None]:
        if group[0][1].origin is None:
            return {position: _alone(teacher, sample, f"{seed} {sample.row.get('task')}") for position, sample in group}
        number = group[0][1].origin[0]
        return _episode(agent, teacher, trajectories[number], group, f"{seed} {number}")

    rows: dict[int, dict[str, Any] | None] = {}
    for found in _side_by_side(work, list(episodes.values()), _threads(teacher)):
        rows |= found
        done += len(found)
        progress(done, len(chosen), dropped=sum(row is None for row in rows.values()))
    return rows


def _episode(
    agent: AgentSpec, teacher: Teacher, trajectory: Trajectory, group: Sequence[tuple[int, Sample]], seed: str
) -> dict[int, dict[str, Any] | None]:
    answers = [step.answer for step in trajectory.steps]
    rows: dict[int, dict[str, Any] | None] = {}
    for position, sample in sorted(group):
        at = sample.origin[1] if sample.origin else 0
        step = trajectory.steps[at]
        prompt = prompt_of(agent, trajectory, answers, at)
        assert step.action is not None
        found = teacher.answer(prompt, step.action, step.pictures, f"{seed} {at}")
        answers[at] = found or answers[at]
        rows[position] = (found and {**sample.row, "prompt": prompt, "completion": _said(found)}) or None
    return rows


def _alone(teacher: Teacher, sample: Sample, seed: str) -> dict[str, Any] | None:
    action = parse(str(sample.row.get("solution") or answer_of(sample.row) or ""))
    if action is None or "prompt" not in sample.row:
        return None
    found = teacher.answer(sample.row["prompt"], action, sample.pictures, seed)
    return {**sample.row, "completion": _said(found)} if found else None


def _said(answer: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": answer}]


def _question(prompt: Sequence[dict[str, Any]], action: Action, pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    """What the teacher is shown. The agent's own system text is left out: it tells how to answer, not what is seen."""
    seen = "\n\n".join(str(message["content"]) for message in prompt if message["role"] != "system")
    text = f"{seen}\n\nThe right call: {write(action)}"
    content: Any = [{"type": "text", "text": text}, *map(_part, pictures)] if pictures else text
    return [{"role": "system", "content": _EXPLAIN}, {"role": "user", "content": content}]


def _part(picture: Picture) -> dict[str, Any]:
    data = picture if isinstance(picture, bytes) else picture.read_bytes()
    kind = {".png": "png", ".jpg": "jpeg"}[suffix_of(picture)]
    url = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": url}}


def _threads(teacher: Teacher) -> int:
    return min(teacher.teacher.endpoint.parallel, teacher.writer.endpoint.parallel)


def _side_by_side(work: Callable[[Any], Any], items: Sequence[Any], threads: int) -> Iterable[Any]:
    """Results in order. After a failure nothing that has not begun begins: each request may cost money."""
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in futures:
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
