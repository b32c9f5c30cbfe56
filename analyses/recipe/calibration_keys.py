"""What `calibrate` asks of the rest of a recipe, before anything is made."""

from typing import Any, Literal

from w2s_probes.calibration import LEAST_ROWS

from .gold_names import SELECT, WEAK_ALONE, GoldName

CalibratedOn = Literal["weak", "gold"]
CALIBRATED = ("student", "probes")  # sections with `calibrate`


def calibrated_on_gold(recipe: Any) -> bool:
    """Whether students or probes are calibrated to the true labels of gold rows."""
    return any(getattr(recipe, name).calibrate and getattr(recipe, name).calibrate_on == "gold" for name in CALIBRATED)


def refuse_calibration(recipe: Any) -> None:
    """ValueError where students or probes cannot be calibrated as a recipe says."""
    for name in CALIBRATED:
        section = getattr(recipe, name)
        by, on = section.calibrate, section.calibrate_on
        if by is None:
            if "calibrate_on" in section.model_fields_set:
                raise ValueError(f"{name}.calibrate_on = {on!r} says on which rows: give {name}.calibrate, too")
            continue
        if recipe.data.n_val < LEAST_ROWS:
            raise ValueError(
                f"{name}.calibrate = {by!r} learns from validation rows, {LEAST_ROWS} at least, and data.n_val = "
                f"{recipe.data.n_val}: raise it"
            )
        if on == "gold":
            _refuse_gold(recipe, f"{name}.calibrate_on = 'gold'")
    if recipe.student.calibrate is not None and recipe.student.calibrate_on == "gold":
        for method in recipe.methods:
            if (parsed := GoldName.parse(method)) and not parsed.base.startswith((SELECT, WEAK_ALONE)):
                raise ValueError(
                    f"student.calibrate_on = 'gold' leaves gold rows out of what students are taught, and method "
                    f"{method!r} teaches them: leave it out"
                )


def _refuse_gold(recipe: Any, what: str) -> None:
    sizes = [n for n in recipe.gold.n if n]
    if len(sizes) > 1:
        raise ValueError(f"{what}: gold.n has several numbers: leave one")
    if not sizes and recipe.gold.file is None:
        raise ValueError(f"{what} reads true labels of strong-train: say how many, [gold] n = 100")
    if sizes and sizes[0] < LEAST_ROWS:
        raise ValueError(f"{what}: a curve needs {LEAST_ROWS} rows at least, and gold.n = {sizes[0]}: raise it")
