"""Every file looked at from all sides: what it says, what it computes, what it calls, what it achieves."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from zoo.agent import open_environment
from zoo.data.expert import expert_rows
from zoo.dialects import dialect_of
from zoo.environments import Task
from zoo.errors import DataError, ExportError, ModelError
from zoo.records import Progress, no_progress
from zoo.schema import AgentSpec, DataSpec
from zoo.serving import Chat, TorchRuntime, open_export
from zoo.verify.check import Check
from zoo.verify.comparison import ActionAgreement, Step, compare_actions, compare_logits
from zoo.verify.opening import Opened, file_checks, label, size, structural_checks, weighed
from zoo.verify.report import GENERAL, STEPS, FileReport
from zoo.verify.tasks import compare_tasks
from zoo.verify.texts import MOST_TOKENS, general_texts

__all__ = ["SPLIT", "Material", "held_out_steps", "inspect", "material"]

SPLIT: Final = "held-out-parameters"
"""Whose tasks the compared steps, and the tasks that are acted on, are of."""
_EPISODE_TOKENS = 4096
"""Of context at least, when whole episodes are run: later steps carry a history."""


@dataclass(frozen=True)
class Material:
    """What the file and its checkpoint are compared on."""

    agent: AgentSpec
    steps: Sequence[Step]
    texts: tuple[str, ...]
    actions: int
    """How many of the steps are also answered."""
    tasks: Sequence[Task]


def material(agent: AgentSpec, prompts: int, texts: int, actions: int, tasks: int, seed: int) -> Material:
    """Draw everything with the seed. Files are compared on words: for an agent with eyes, on those of its screens.

    Raises DataError when the world does not have so many tasks.
    """
    agent = agent.model_copy(update={"pictures": "none"})
    drawn: Sequence[Task] = ()
    if tasks:
        try:
            drawn = open_environment(agent).draw_tasks(SPLIT, tasks, seed)
        except ValueError as error:
            raise DataError(f"verify: `tasks: {tasks}` is too many: {error}") from error
    return Material(agent, held_out_steps(agent, prompts, seed), general_texts(texts), actions, drawn)


def held_out_steps(agent: AgentSpec, count: int, seed: int) -> list[Step]:
    """Steps of the world's expert on tasks that nobody trained on, drawn with the seed."""
    data = DataSpec(kind="data", split=SPLIT, tasks=count, agent=agent)
    rows, _ = expert_rows(data, seed, no_progress)
    chosen = Random(seed).sample(rows, min(count, len(rows)))
    return [Step(row.prompt, row.completion) for row in chosen]


def inspect(
    reference: TorchRuntime,
    files: Mapping[Path, str],
    material: Material,
    progress: Progress = no_progress,
    threads: int | None = None,
) -> list[FileReport]:
    """Look at every file (path -> its type): its structure first, then, if it loads and has the same vocabulary, what
    it computes. A checkpoint without a chat template is compared on general text alone."""
    steps = material.steps if reference.chat_template else ()
    tasks = material.tasks if reference.chat_template else ()
    texts = {
        STEPS: [reference.encode([*step.prompt, *step.completion]) for step in steps],
        GENERAL: [reference.encode(text)[:MOST_TOKENS] for text in material.texts],
    }
    prompts = [step.prompt for step in steps]
    answer_tokens = material.agent.answer_tokens
    context = max((len(ids) for kind in texts.values() for ids in kind), default=1) + answer_tokens
    with ExitStack() as stack:
        opened: dict[Path, Opened | str] = {}
        checked: dict[Path, list[Check]] = {}
        for file in files:
            progress(len(opened), len(files), comparing=f"what {label(file)} says")
            opened[file] = _open(stack, file, max(context, _EPISODE_TOKENS if tasks else 0), threads)
            checked[file] = _checked(reference, file, opened[file], prompts)
        sound = {
            label(file): one
            for file, one in opened.items()
            if not isinstance(one, str) and one.vocabulary_size == _vocabulary_size(reference)
        }
        near = {
            kind: compare_logits(reference, sound, ids, progress, f"next tokens, {kind}") for kind, ids in texts.items()
        }
        asked = {name: one for name, one in sound.items() if prompts and _takes(one, prompts[0])}
        dialect = dialect_of(material.agent.world)
        called = compare_actions(
            reference, asked, prompts[: material.actions], answer_tokens, progress, lambda one: dialect.read(one).action
        )
        won = compare_tasks(material.agent, reference, asked, tasks, progress)
    return [
        FileReport(
            file=label(file),
            type=type_,
            bytes=size(file),
            checks=(*checked[file], *_ends(called.get(label(file)))),
            closeness={kind: found[label(file)] for kind, found in near.items() if label(file) in found},
            actions=called.get(label(file)),
            tasks=won.get(label(file)),
        )
        for file, type_ in files.items()
    ]


def _vocabulary_size(reference: TorchRuntime) -> int:
    return int(reference.model.config.get_text_config().vocab_size)


def _open(stack: ExitStack, file: Path, context: int, threads: int | None) -> Opened | str:
    """The file in its own runtime, or why it does not load: one broken file does not hide the others."""
    try:
        opened = open_export(file, threads, context)
        stack.callback(opened.close)
        return opened
    except ExportError as error:
        return str(error)


def _takes(runtime: Opened, chat: Chat) -> bool:
    """Whether a file can be asked at all; that its template does not take a chat is a check's finding."""
    try:
        return bool(runtime.encode(chat))
    except ModelError:
        return False


def _checked(
    reference: TorchRuntime, file: Path, opened: Opened | str, prompts: Sequence[Sequence[Mapping[str, str]]]
) -> list[Check]:
    if isinstance(opened, str):
        return [Check("loads", False, opened), *file_checks(file)]
    return [Check("loads", True, weighed(file, opened)), *structural_checks(reference, opened, prompts)]


def _ends(actions: ActionAgreement | None) -> list[Check]:
    """Whether the file comes to an end where the checkpoint does: a stop token that it knows and never says is none."""
    if actions is None or not actions.ended:
        return []
    detail = (
        f"of {actions.ended} answers that the checkpoint ended by a stop token, the file ended {actions.file_ended}"
    )
    return [Check("answers end", 2 * actions.file_ended >= actions.ended, detail)]
