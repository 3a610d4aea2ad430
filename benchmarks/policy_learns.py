"""Success on a toy world, step by step, by GRPO, DAPO and denoised advantages, from the same policy at chance.

    python benchmarks/policy_learns.py --out runs/policy-learns [--seeds 3]

Two layers of 64 units act whole episodes of `tests/toy_world.py`: three rounds to tap the one right button of four
twice, which no screen names. A uniform choice solves 5 of 32 tasks. Written to `policy_learns.md`: each way's success
while training, and after how many steps, and how many episodes, each seed first solved four of five in the mean of five
steps. A run's log is kept in `--out`, so that a stopped comparison goes on. What is found here is found in a world of
one secret; harder worlds may say otherwise.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "ablations"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from curves import Curve, of_arms
from toy_policy import WAYS, learned, taught

from zoo import registry
from zoo.trainers.history import HISTORY_NAME

HERE = Path(__file__).resolve().parent
CURVE = Curve("grpo", "success", level=0.8, over=5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3, help="default %(default)s")
    options = parser.parse_args()
    registry.ENVIRONMENTS["phone"] = "toy_world:ToyWorld"
    with tempfile.TemporaryDirectory() as name:
        model = taught(Path(name))
        runs: dict[str, list[Path]] = {way: [] for way in WAYS}
        for seed in range(options.seeds):  # every way before the next seed: what is stopped has whole seeds
            for way in WAYS:
                runs[way].append(_run(options.out / f"{way}-{seed}", model, way, seed))
    text = "\n".join(
        [
            "# policy_learns", "", __doc__.splitlines()[0], "",
            f"`python benchmarks/policy_learns.py --out FOLDER --seeds {options.seeds}`, {options.seeds} seeds, "
            "32 episodes a step and more where dynamic sampling asks for them.", *of_arms(CURVE, runs), "",
        ]
    )  # fmt: skip
    (HERE / "policy_learns.md").write_text(text, "utf-8")
    print(text)


def _run(kept: Path, model: Path, way: str, seed: int) -> Path:
    """The folder with what one run logged."""
    if not (kept / HISTORY_NAME).is_file():
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as name:
            learned(Path(name) / way, model, seed, **WAYS[way])
            shutil.copyfile(Path(name) / way / "out" / HISTORY_NAME, kept / f"{HISTORY_NAME}.part")
        (kept / f"{HISTORY_NAME}.part").replace(kept / HISTORY_NAME)
        print(kept.name, flush=True)
    return kept


if __name__ == "__main__":
    main()
