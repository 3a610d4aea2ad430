import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from zoo.cache import Cache, Finished
from zoo.errors import CacheError, DataError, StageFailed, ZooError
from zoo.plan import PlannedStage, StageInput, plan
from zoo.recipe import load
from zoo.runner import Runner

RECIPE = """\
name: small
summary: A recipe for tests.
license: apache-2.0
agent: {style: terse}
stages:
  base: {kind: tiny, architecture: llama}
  rows: {kind: data, tasks: 4}
  sft:
    kind: sft
    model: stage:base
    data: stage:rows
    dtype: float32
    checkpoint_steps: 2
    lora: {r: 4, target_modules: all-linear}
    trl: {max_steps: 6, per_device_train_batch_size: 2}
"""


class Kept:
    """A watch that keeps what it saw, and may do something at a stage's first step."""

    def __init__(self, at_step: Any = None) -> None:
        self.seen: list[tuple[str, str]] = []
        self.resumed: dict[str, bool] = {}
        self._at_step = at_step

    def cached(self, stage: PlannedStage, finished: Finished) -> None:
        self.seen.append(("cached", stage.name))

    def started(self, stage: PlannedStage, log_file: Path, resumed: bool) -> None:
        self.seen.append(("started", stage.name))
        self.resumed[stage.name] = resumed

    def progressed(self, stage: PlannedStage, step: int, total: int | None, fields: Mapping[str, Any]) -> None:
        if self._at_step:
            self._at_step(stage, step)

    def finished(self, stage: PlannedStage, finished: Finished) -> None:
        self.seen.append(("finished", stage.name))


def nothing_outside(item: StageInput) -> Path:
    raise AssertionError(f"{item.ref} is not a stage")


def stages_of(folder: Path, text: str = RECIPE) -> list[PlannedStage]:
    file = folder / "small.yaml"
    file.write_text(text, "utf-8")
    return plan(load(file).recipe, lambda ref, accepts: None)


def run(cache: Path, stages: list[PlannedStage], watch: Kept, names: list[str], force: tuple[str, ...] = ()) -> Any:
    return Runner(Cache(cache), nothing_outside, watch).run(stages, names, force)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the base model and the rows."""
    folder = tmp_path_factory.mktemp("warm")
    run(folder / "home", stages_of(folder), Kept(), ["base", "rows"])
    return folder / "home"


def test_what_the_cache_holds_is_not_run_again_and_force_runs_it_again(warm: Path, tmp_path: Path) -> None:
    stages = stages_of(tmp_path)
    watch = Kept()
    done = run(warm, stages, watch, ["base", "rows"])
    assert watch.seen == [("cached", "base"), ("cached", "rows")]
    forced = Kept()
    again = run(warm, stages, forced, ["base", "rows"], force=("rows",))
    assert forced.seen == [("cached", "base"), ("started", "rows"), ("finished", "rows")]
    assert again["rows"].record.files == done["rows"].record.files


def test_the_record_says_what_went_in_what_came_out_and_on_what(warm: Path, tmp_path: Path) -> None:
    record = run(warm, stages_of(tmp_path), Kept(), ["base"])["base"].record
    assert record.kind == "tiny"
    assert set(record.files) >= {"model.safetensors", "config.json", "tokenizer.json"}
    assert all(len(facts["sha256"]) == 64 and facts["bytes"] > 0 for facts in record.files.values())
    assert record.versions["torch"].startswith("2.13")
    assert record.hardware["cores"] >= 1
    assert record.peak_memory_bytes > 50_000_000
    assert record.seconds > 0


def test_a_stage_whose_input_was_left_out_says_what_to_run_first(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="--until base"):
        run(tmp_path / "home", stages_of(tmp_path), Kept(), ["sft"])


def test_a_failed_stage_keeps_its_error_and_leaves_nothing_that_looks_finished(warm: Path, tmp_path: Path) -> None:
    text = RECIPE.replace("max_steps: 6", "max_steps: 6, max_length: 8")
    stages = stages_of(tmp_path, text)
    with pytest.raises(DataError, match=r"stage sft: .*max_length(.|\n)*log:"):
        run(warm, stages, Kept(), ["base", "rows", "sft"])
    key = str(stages[-1].key)
    assert Cache(warm).find(key) is None
    assert not (warm / "stages" / key).exists()


def test_an_input_that_was_altered_on_disk_is_refused_before_it_is_read(warm: Path, tmp_path: Path) -> None:
    stages = stages_of(tmp_path, RECIPE.replace("tasks: 4", "tasks: 5"))
    done = run(warm, stages, Kept(), ["base", "rows"])
    file = done["rows"].folder / "rows.jsonl"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b" ")
    with pytest.raises(CacheError, match=r"rows\.jsonl has other content"):
        run(warm, stages, Kept(), ["base", "rows", "sft"])


def test_a_killed_worker_is_one_clear_error_and_the_next_run_goes_on_to_the_same_weights(
    warm: Path, tmp_path: Path
) -> None:
    stages = stages_of(tmp_path)
    straight = tmp_path / "straight"
    expected = run(straight, stages, Kept(), ["base", "rows", "sft"])["sft"].record.files["model.safetensors"]

    def kill(stage: PlannedStage, step: int) -> None:
        if step >= 3:
            for child in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)

    with pytest.raises(StageFailed, match=r"SIGKILL(.|\n)*log: "):
        run(warm, stages, Kept(kill), ["base", "rows", "sft"])
    watch = Kept()
    done = run(warm, stages, watch, ["base", "rows", "sft"])
    assert watch.resumed["sft"]
    assert done["sft"].record.files["model.safetensors"] == expected


def test_a_worker_ends_when_its_runner_is_killed(warm: Path, tmp_path: Path) -> None:
    stages_of(tmp_path, RECIPE.replace("max_steps: 6", "max_steps: 4000"))
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; import test_runner as t\n"
        "children = f'/proc/{t.os.getpid()}/task/{t.os.getpid()}/children'\n"
        "def tell(stage, step): print(open(children).read(), flush=True)\n"
        "text = Path(sys.argv[3]).read_text()\n"
        "stages = t.stages_of(Path(sys.argv[2]).parent, text)\n"
        "t.run(Path(sys.argv[2]), stages, t.Kept(tell), ['base', 'rows', 'sft'])"
    )
    arguments = [str(Path(__file__).parent), str(warm), str(tmp_path / "small.yaml")]
    runner = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    worker = int(runner.stdout.readline().split()[0])
    runner.kill()
    runner.wait()
    runner.stdout.close()
    for _ in range(100):
        if not _alive(worker):
            return
        time.sleep(0.1)
    raise AssertionError(f"worker {worker} outlived its runner")


def _alive(process: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
