"""Success on a toy world, step by step, by GRPO, DAPO and denoised advantages, from the same policy at chance.

    python benchmarks/policy_learns.py

Two layers of 64 units act whole episodes of `tests/toy_world.py`: three rounds to tap the one right button of four
twice, which no screen names. A uniform choice solves 5 of 32 tasks. One seed; a proof that the machinery learns, no
comparison of the algorithms.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from toy_policy import WAYS, learned, taught

from zoo import registry


def main() -> None:
    registry.ENVIRONMENTS["phone"] = "toy_world:ToyWorld"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = taught(folder)
        print(f"{'way':<10}{'seconds':>8}  success, the mean of every five steps")
        for way, changes in WAYS.items():
            started = time.perf_counter()
            result = learned(folder / way, model, **changes)
            seconds = time.perf_counter() - started
            success = [point["success"] for point in result.notes["history"]]
            means = [sum(success[start : start + 5]) / 5 for start in range(0, len(success), 5)]
            print(f"{way:<10}{seconds:>8.0f}  {' '.join(f'{mean:.2f}' for mean in means)}", flush=True)


if __name__ == "__main__":
    main()
