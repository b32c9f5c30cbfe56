"""What a run's record says of gold rows, as far as the page reads it."""

from pydantic import BaseModel, ConfigDict


class GoldNotes(BaseModel):
    """How many rows of each kind a method has read, and what gold rows have chosen."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    gold_rows: float = 0
    weak_rows: float = 0
    candidates: float = 0
    chosen: float = 0
    second: float = 0
    gold_auroc: float = 0
    lead: float = 0
    stability: float = 0
