"""Episodes of a world's scripted expert, some with a detour, so that their rows also show how to come back.

For an agent with eyes, each step that is a row has the picture of its screen.
"""

from collections import Counter
from pathlib import Path
from random import Random

from zoo.actions import Action, write_answer
from zoo.data.pictures import Picture, save
from zoo.data.rows import Row
from zoo.data.tasks import drawn_tasks
from zoo.data.trajectories import Trajectory, TrajectoryStep, rows_of
from zoo.environments import Closing, Environment, PartlyKnown, Task
from zoo.environments.choosing import EXPERT
from zoo.environments.pictures import as_png, screenshot_of
from zoo.records import Progress
from zoo.registry import ENVIRONMENTS, load
from zoo.schema import AgentSpec, DataSpec

__all__ = ["expert_rows", "expert_trajectories"]

_TRIES = 8
"""Wrong steps that are looked at for one that can be mended."""
_MOST_ELEMENTS = 12


def expert_trajectories(
    spec: DataSpec, seed: int, progress: Progress, screens: Path | None = None
) -> tuple[list[Trajectory], Counter[str]]:
    """The episodes of the expert on `spec.tasks` tasks whose way it knows, and how many there were `direct` and with a
    `detour`. Pictures wait in the folder `screens`, which an agent with eyes needs: all of them would fill memory.

    Raises DataError when the split does not have so many tasks.
    """
    world = load(ENVIRONMENTS[spec.agent.world])
    tasks = drawn_tasks(spec, seed, (EXPERT,) if isinstance(world, PartlyKnown) else ())
    trajectories: list[Trajectory] = []
    rows = 0
    kinds: Counter[str] = Counter()
    environment: Environment = world(spec.agent.observation)
    try:
        for number, task in enumerate(tasks, start=1):
            rng = Random(f"{seed} {task.id}")
            trajectory = _episode(spec.agent, environment, task, rng, rng.random() < spec.detours, screens, rows)
            trajectories.append(trajectory)
            learned = sum(step.is_row for step in trajectory.steps)
            kinds["direct" if learned == len(trajectory.steps) else "detour"] += 1
            rows += learned
            progress(number, len(tasks), rows=rows)
    finally:
        if isinstance(environment, Closing):
            environment.close()
    return trajectories, kinds


def expert_rows(spec: DataSpec, seed: int, progress: Progress) -> tuple[list[Row], Counter[str]]:
    """The rows of `expert_trajectories`, one after the other, for an agent without eyes."""
    trajectories, kinds = expert_trajectories(spec, seed, progress)
    return [row for one in trajectories for _, row in rows_of(spec.agent, one)], kinds


def _episode(
    agent: AgentSpec,
    environment: Environment,
    task: Task,
    rng: Random,
    detour: bool,
    screens: Path | None,
    before: int,
) -> Trajectory:
    """One episode, after so many rows. The wrong step comes before a random step of the expert's way and is no row: it
    is told with the expert's assessment, since that is what an agent that strays believes."""
    observation = environment.reset(task)
    task = environment.task
    stray_at = rng.randrange(_way(environment)[0]) if detour else -1
    steps: list[TrajectoryStep] = []
    while not environment.done:
        step = environment.expert()
        wrong = _wrong_step(environment, observation, rng, agent.rounds) if len(steps) == stray_at else None
        if wrong is None:
            pictures = _pictures(agent, environment, screens, before + sum(step.is_row for step in steps))
            steps.append(TrajectoryStep(observation, step.answer(agent.style), step.action, pictures=pictures))
        else:
            strayed = write_answer("", step.assessed(agent.style), wrong)
            steps.append(TrajectoryStep(observation, strayed, wrong, is_row=False))
        observation = environment.step(wrong or step.action)
    return Trajectory(task.id, task.template, task.instruction, tuple(steps))


def _pictures(agent: AgentSpec, environment: Environment, screens: Path | None, number: int) -> tuple[Picture, ...]:
    """The picture of the screen, saved under the number of its row."""
    if agent.pictures == "none":
        return ()
    assert screens is not None, "an agent with eyes needs a folder for its pictures"
    return (screens / save(as_png(screenshot_of(environment, agent.pictures)), screens, f"{number:06}"),)


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
