"""What the record of a run says of the debate that its supervisor has read, typed as the other records are."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class DebateRecord(BaseModel):
    """What was argued before the supervisor learned."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    protocol: str
    debater: str
    names: Annotated[list[str], Field(min_length=2, max_length=2)]
    named_by_task: bool
    members: int
    rows: int
    turns: int
    tokens: int | None = None
    turns_cut: int
    turns_empty: int
    own_kept: int = 0  # rows, of shuffled transcripts
    transcript_tokens: float
    kept_tokens: float
    transcripts_cut: float
    a_for_truth: float | None = None
    a_rows: int = 0
