"""The modules of `benchmarks/ablations`, which is no package."""

import sys
from pathlib import Path

ABLATIONS = Path(__file__).resolve().parents[2] / "benchmarks" / "ablations"
sys.path.insert(0, str(ABLATIONS))
