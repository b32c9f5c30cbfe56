"""What `w2s ask` answers in JSON."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from .json_answers import JsonAnswer

if TYPE_CHECKING:
    from extract.asking import Answers, Asking


class AskedWord(JsonAnswer):
    """A label word."""

    label: int = Field(description="0 or 1")
    word: str = Field(description="as it was given")
    spelling: str = Field(description="as it follows the prompt: with a leading space or without")
    token: int = Field(description="its id in the model's vocabulary")


class AskAnswer(JsonAnswer):
    """What `w2s ask --json` prints."""

    model: str = Field(description="the model")
    rows: str = Field(description="the row file")
    out: str = Field(description="the label file written")
    n: int = Field(description="rows asked about")
    above_half: int = Field(description="of these with P(1) above 1/2")
    words: list[AskedWord] = Field(description="the label words")
    template: bool = Field(description="whether a chat template was used")
    shots: list[str] = Field(description="ids of the answered rows that stand before each, in this order")
    calibrate: str | None = Field(description="prior, content-free, or null")
    shift: float = Field(description="taken off the log-odds by it")
    said: float = Field(description="probability of the two words among all next tokens, mean over rows")
    together: int = Field(description="questions and pairs whose rows were judged as wholes")
    key: str = Field(description="a hash of all that decides the numbers")
    remarks: list[str] = Field(description="what is said without --json, a line each")

    @classmethod
    def of(
        cls, plan: "Asking", found: "Answers", *, model: str, rows: Path, out: Path, remarks: list[str]
    ) -> "AskAnswer":
        words = [
            AskedWord(label=label, word=word.word, spelling=word.spelling, token=word.token)
            for label, word in enumerate(plan.words)
        ]
        return cls(
            model=model,
            rows=str(rows),
            out=str(out),
            n=len(found.p),
            above_half=int((found.p > 0.5).sum()),
            words=words,
            template=plan.prompt.template is not None,
            shots=[shot.id for shot in plan.shots],
            calibrate=plan.calibrate,
            shift=found.shift,
            said=float(found.said.mean()),
            together=found.together,
            key=found.key,
            remarks=remarks,
        )
