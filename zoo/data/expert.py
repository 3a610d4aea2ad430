"""Episodes of a world's scripted expert, some with a detour, so that their rows also show how to come back."""

from collections import Counter
from random import Random

from zoo.actions import Action, write_answer
from zoo.data.rows import Row
from zoo.data.tasks import drawn_tasks
from zoo.data.trajectories import Trajectory, TrajectoryStep, rows_of
from zoo.environments import Closing, Environment, Task
from zoo.records import Progress
from zoo.registry import ENVIRONMENTS, load
from zoo.schema import AgentSpec, DataSpec

__all__ = ["expert_rows", "expert_trajectories"]

_TRIES = 8
"""Wrong steps that are looked at for one that can be mended."""
_MOST_ELEMENTS = 12


def expert_trajectories(spec: DataSpec, seed: int, progress: Progress) -> tuple[list[Trajectory], Counter[str]]:
    """The episodes of the expert on `spec.tasks` tasks, and how many episodes there were `direct` and with a `detour`.

    Raises DataError when the split does not have so many tasks.
    """
    tasks = drawn_tasks(spec, seed)
    trajectories: list[Trajectory] = []
    kinds: Counter[str] = Counter()
    environment: Environment = load(ENVIRONMENTS[spec.agent.world])(spec.agent.observation)
    try:
        for number, task in enumerate(tasks, start=1):
            rng = Random(f"{seed} {task.id}")
            trajectory = _episode(spec.agent, environment, task, rng, rng.random() < spec.detours)
            trajectories.append(trajectory)
            kinds["direct" if all(step.is_row for step in trajectory.steps) else "detour"] += 1
            progress(number, len(tasks))
    finally:
        if isinstance(environment, Closing):
            environment.close()
    return trajectories, kinds


def expert_rows(spec: DataSpec, seed: int, progress: Progress) -> tuple[list[Row], Counter[str]]:
    """The rows of `expert_trajectories`, one after the other."""
    trajectories, kinds = expert_trajectories(spec, seed, progress)
    return [row for one in trajectories for _, row in rows_of(spec.agent, one)], kinds


def _episode(agent: AgentSpec, environment: Environment, task: Task, rng: Random, detour: bool) -> Trajectory:
    """One episode. The wrong step comes before a random step of the expert's way and is no row: it is told with the
    expert's assessment, since that is what an agent that strays believes."""
    observation = environment.reset(task)
    task = environment.task
    stray_at = rng.randrange(_way(environment)[0]) if detour else -1
    steps: list[TrajectoryStep] = []
    while not environment.done:
        step = environment.expert()
        wrong = _wrong_step(environment, observation, rng, agent.rounds) if len(steps) == stray_at else None
        if wrong is None:
            steps.append(TrajectoryStep(observation, step.answer(agent.style), step.action))
        else:
            strayed = write_answer("", step.assessed(agent.style), wrong)
            steps.append(TrajectoryStep(observation, strayed, wrong, is_row=False))
        observation = environment.step(wrong or step.action)
    return Trajectory(task.id, task.template, task.instruction, tuple(steps))


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
