"""Two tensors row by row: which rows differ by more than the rounding of their type."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

__all__ = ["row_fault"]


def row_fault(
    name: str,
    type_: str,
    found: "np.ndarray[Any, Any]",
    expected: "np.ndarray[Any, Any]",
    relative: float,
    step: float = 0.0,
) -> str:
    """What is wrong with a tensor, empty when nothing is. A row may be off by `relative` of its length (L2), and each
    value by `step` besides, below which the type has no finer one."""
    import numpy as np

    expected, found = np.atleast_2d(expected), np.atleast_2d(found)
    error = np.linalg.norm(found - expected, axis=1)
    length = np.linalg.norm(expected, axis=1)
    excess = error - step * expected.shape[1] ** 0.5 - relative * length
    # Written so that a NaN in the file is a difference, which no comparison with it would say.
    rows = np.flatnonzero(~(excess <= 1e-6 * np.abs(expected).max()))
    if not len(rows):
        return ""
    off = float(error[rows[0]] / max(float(length[rows[0]]), 1e-30))
    counted = f"{len(rows)} of {len(expected)} rows, row {rows[0]} by {off:.1%}"
    return f"{name} ({type_}): {counted} where {relative:.1%} is the type's"
