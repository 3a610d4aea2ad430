"""The modules of `benchmarks` and `benchmarks/ablations`, which are no packages."""

import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path[:0] = [str(BENCHMARKS / "ablations"), str(BENCHMARKS)]
