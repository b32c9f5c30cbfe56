"""What `w2s debate` answers in JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from .json_answers import JsonAnswer

if TYPE_CHECKING:
    from extract.debating import Debate, Transcript


class DebateAnswer(JsonAnswer):
    """What `w2s debate --json` prints."""

    model: str = Field(description="the model")
    rows: str = Field(description="the row file")
    out: str | None = Field(description="the file of transcripts written; null while other shares are to come")
    cache: str = Field(description="the folder of turns")
    n: int = Field(description="rows argued about")
    protocol: str = Field(description="debate, consultancy, market-making or no-sides")
    names: list[str] = Field(description="the answers of labels 0 and 1")
    turns: int = Field(description="turns of a transcript")
    members: int = Field(description="transcripts of each row")
    template: bool = Field(description="whether a chat template was used")
    a_for_1: int | None = Field(description="rows whose A argues for label 1; null without sides")
    tokens: int | None = Field(description="tokens generated in all turns; null without a file, as the next two")
    cut: int | None = Field(description="turns that the limit of tokens ended")
    empty: int | None = Field(description="turns in which nothing was said")
    key: str = Field(description="a hash of all that decides the transcripts")
    remarks: list[str] = Field(description="what is said without --json, a line each")

    @classmethod
    def of(
        cls,
        plan: "Debate",
        said: "Sequence[Transcript] | None",
        *,
        model: str,
        rows: Path,
        out: Path,
        cache: Path,
        remarks: list[str],
    ) -> "DebateAnswer":
        spoken = [] if said is None else [turn for each in said for turn in each.turns]
        first = [sides["A"] for sides in plan.sides if "A" in sides]
        return cls(
            model=model,
            rows=str(rows),
            out=None if said is None else str(out),
            cache=str(cache),
            n=len(plan.rows),
            protocol=plan.protocol,
            names=list(plan.names),
            turns=plan.turns,
            members=plan.members,
            template=plan.template is not None,
            a_for_1=sum(first) if first else None,
            tokens=None if said is None else sum(turn.tokens or 0 for turn in spoken),
            cut=None if said is None else sum(turn.cut for turn in spoken),
            empty=None if said is None else sum(turn.is_empty for turn in spoken),
            key=plan.key,
            remarks=remarks,
        )
