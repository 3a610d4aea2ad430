"""Rows of a world's scripted expert, some after a detour, so that they also show how to come back.

For an agent with eyes, each row names the picture of its screen, which is saved as it is made.
"""

from collections import Counter
from pathlib import Path
from random import Random

from zoo.actions import Action, write
from zoo.data.foresight import foresight_rows
from zoo.data.pictures import save
from zoo.data.rows import Row
from zoo.environments import Closing, Environment, ExpertStep, PartlyKnown, Task
from zoo.environments.choosing import EXPERT, choose_tasks
from zoo.environments.pictures import as_png, screenshot_of
from zoo.memory import noted
from zoo.prompt import messages
from zoo.records import Progress
from zoo.registry import ENVIRONMENTS, load
from zoo.schema import AgentSpec, DataSpec

__all__ = ["expert_rows"]

_TRIES = 8
"""Wrong steps that are looked at for one that can be mended."""
_MOST_ELEMENTS = 12


def expert_rows(
    spec: DataSpec, seed: int, progress: Progress, out: Path | None = None
) -> tuple[list[Row], Counter[str]]:
    """The steps of the expert on `spec.tasks` tasks whose way it knows, and how many episodes there were `direct` and
    with a `detour`. Pictures go to `out`, which an agent with eyes needs.

    Raises DataError when the split does not have so many tasks.
    """
    world = load(ENVIRONMENTS[spec.agent.world])
    known = (EXPERT,) if isinstance(world, PartlyKnown) else ()
    tasks = choose_tasks(world, spec.split, known, spec.tasks, seed)
    rows: list[Row] = []
    kinds: Counter[str] = Counter()
    environment: Environment = world(spec.agent.observation)
    try:
        for number, task in enumerate(tasks, start=1):
            rng = Random(f"{seed} {task.id}")
            steps, kind = _episode(spec, environment, task, rng, rng.random() < spec.detours, out, len(rows))
            rows += steps
            kinds[kind] += 1
            progress(number, len(tasks), rows=len(rows))
    finally:
        if isinstance(environment, Closing):
            environment.close()
    return rows, kinds


def _episode(
    spec: DataSpec,
    environment: Environment,
    task: Task,
    rng: Random,
    detour: bool,
    out: Path | None,
    before: int,
) -> tuple[list[Row], str]:
    """The rows of one episode. The wrong step comes before a random step of the expert's way and is no row."""
    agent, observation = spec.agent, environment.reset(task)
    task = environment.task
    stray_at = rng.randrange(_way(environment)[0]) if detour else -1
    rows: list[Row] = []
    history: list[str] = []
    strayed = False
    while not environment.done:
        step = environment.expert()
        wrong = _wrong_step(environment, observation, rng, agent.rounds) if len(history) == stray_at else None
        strayed = strayed or wrong is not None
        if wrong is None and spec.predict == "observation":
            chat = messages(agent, task.instruction, history, observation)
            rows += foresight_rows(spec, environment, chat, step, len(history), rng)
        elif wrong is None:
            picture = _picture(agent, environment, out, before + len(rows))
            rows.append(_row(agent, task, history, observation, step, picture))
        history.append(str(noted(agent, step.assessed(agent.style), write(wrong or step.action))))
        observation = environment.step(wrong or step.action)
    return rows, "detour" if strayed else "direct"


def _picture(agent: AgentSpec, environment: Environment, out: Path | None, number: int) -> tuple[str, ...]:
    """The picture of the screen, saved under the number of its row."""
    if agent.pictures == "none":
        return ()
    assert out is not None, "an agent with eyes needs a folder for its pictures"
    return (save(as_png(screenshot_of(environment, agent.pictures)), out, f"{number:06}"),)


def _row(
    agent: AgentSpec, task: Task, history: list[str], observation: str, step: ExpertStep, images: tuple[str, ...]
) -> Row:
    return Row(
        messages(agent, task.instruction, history, observation),
        [{"role": "assistant", "content": step.answer(agent.style)}],
        write(step.action),
        task.id,
        task.template,
        len(history),
        images,
    )


def _wrong_step(environment: Environment, observation: str, rng: Random, rounds: int) -> Action | None:
    """A step into a wrong screen or a wrong field; None when none was found.

    What is stored stays as it was: that a switch must be turned back could only be known by who saw it turned, and rows
    that ask for it would teach to turn switches at random.
    """
    needed, _ = _way(environment)
    for _ in range(_TRIES):
        wrong = _any_action(rng)
        trial: Environment = environment.copy()
        if trial.step(wrong) == observation or trial.stored != environment.stored:
            continue
        still, success = _way(trial)
        if success and still >= needed and trial.steps + still <= rounds:
            return wrong
    return None


def _any_action(rng: Random) -> Action:
    name = rng.choice(("tap", "tap", "tap", "tap", "long_press", "back", "home"))
    return Action(name, (rng.randint(1, _MOST_ELEMENTS),)) if name in ("tap", "long_press") else Action(name)


def _way(environment: Environment) -> tuple[int, bool]:
    """How many steps the expert still needs, and whether they lead to success."""
    trial: Environment = environment.copy()
    while not trial.done:
        trial.step(trial.expert().action)
    return trial.steps - environment.steps, trial.success()
