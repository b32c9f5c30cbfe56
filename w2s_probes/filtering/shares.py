"""Shares of the rows that a filter removes or keeps."""

from ..errors import InputError


def refuse_shares(contamination: float, max_removed: float | None = None, zeta: float | None = None) -> None:
    """InputError for a share that is none."""
    if not 0 <= contamination < 1:
        raise InputError(f"contamination={contamination} must be in [0, 1): the share of rows to remove")
    if max_removed is not None and not 0 <= max_removed <= 1:
        raise InputError(f"max_removed={max_removed} must be in [0, 1]: the share of rows that components may remove")
    if zeta is not None and not zeta >= 0:
        raise InputError(f"zeta={zeta} must be at least 0: the share of agreeing neighbours (above 1: majority vote)")


def share_of(rows: int, share: float) -> int:
    """round(rows · share), of a share as it is written: .575 · 100 is 57.5 and not 57.49999999999999."""
    return round(round(rows * share, 9))
