"""An evaluation by the expert and by chance, and a page's folder, as the tests of the page need them."""

from collections.abc import Mapping
from pathlib import Path

from zoo.agent import Answerer, expert_answers, random_answers
from zoo.evaluate import evaluate_anybody
from zoo.records import StageContext, StageRecord
from zoo.schema import AgentSpec, EvaluateSpec
from zoo.space import SpaceSettings, recorded, space_files

__all__ = ["evaluation", "lay_out", "record_of"]

TASKS = 6


def record_of(name: str, kind: str, **more: object) -> StageRecord:
    """A stage's record with nothing measured but what is given."""
    data = {
        "version": 1, "key": "0" * 64, "settings": {}, "inputs": {}, "seed": 0, "metrics": {}, "notes": {}, "files": {},
        "versions": {"torch": "2"}, "hardware": {"cpu": "a processor", "cores": 2},
        "started": "2026-01-01T00:00:00+00:00", "seconds": 1.0, "peak_memory_bytes": 1,
    }  # fmt: skip
    return StageRecord(name=name, kind=kind, **{**data, **more})


def evaluation(agent: AgentSpec) -> tuple[StageRecord, str]:
    """A record and the lines of a page: the expert solves every other task, chance acts on the rest."""
    patient = agent.model_copy(update={"rounds": 15})
    spec = EvaluateSpec(model="stage:none", tasks=TASKS, agent=patient)
    expert, chance = expert_answers(patient), random_answers(0)
    solved: dict[str, bool] = {}

    def answer(situations):
        for one in situations:
            solved.setdefault(one.task.id, len(solved) % 2 == 0)
        return [(expert if solved[one.task.id] else chance)([one])[0] for one in situations]

    return _played(spec, answer)


def _played(spec: EvaluateSpec, answer: Answerer) -> tuple[StageRecord, str]:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as place:
        out = Path(place)
        result = evaluate_anybody(spec, answer, StageContext(out=out, scratch=out, inputs={}, seed=3))
        settings = spec.model_dump(mode="json", exclude={"seed"})
        record = record_of(
            "eval-tiny", "evaluate", settings=settings, seed=3, metrics=result.metrics, notes=result.notes
        )
        return record, recorded(record, (out / "episodes.jsonl").read_text("utf-8"))


def lay_out(
    folder: Path, settings: SpaceSettings, records: Mapping[str, StageRecord], episodes: Mapping[str, str]
) -> None:
    """Write what a Space's repository holds."""
    for path, content in space_files(settings, records, episodes, recipe="name: tiny\n").items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
