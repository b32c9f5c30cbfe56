"""What `calibrate` asks of the rest of a recipe, before anything is made."""

from typing import Any

from w2s_probes.calibration import LEAST_ROWS


def refuse_calibration(recipe: Any) -> None:
    """ValueError where students or probes cannot be calibrated as a recipe says."""
    for name in ("student", "probes"):
        by = getattr(recipe, name).calibrate
        if by is not None and recipe.data.n_val < LEAST_ROWS:
            raise ValueError(
                f"{name}.calibrate = {by!r} learns from validation rows, {LEAST_ROWS} at least, and data.n_val = "
                f"{recipe.data.n_val}: raise it"
            )
