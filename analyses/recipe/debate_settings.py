"""A debate that the supervisor reads: the recipe's `[debate]`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from .section import Count, Section

DEBATE_CONTROL = "control-debate-"  # and what is changed of a debate: its supervisor, in place of the run's own
NONE = "none"
BASE = f"{DEBATE_CONTROL}{NONE}"  # the supervisor without transcripts, from which a second PGR is counted
READERS = ("text", "head", "finetune")  # kinds of supervisors that can read a transcript
OWN_KEPT = "own_kept"  # in records: rows for which there was no other's transcript when they were shuffled
WEAK_MODEL = f"{DEBATE_CONTROL}weak"  # the control whose debate the weak model holds with itself


# By what follows DEBATE_CONTROL. `weak` changes the model that argues, and `transcript` what is read.
CHANGES: dict[str, dict[str, Any]] = {
    NONE: {"protocol": NONE, "shared": False, "shuffled": False},
    "single": {"members": 1},
    "shared": {"shared": True},
    "shuffled": {"shuffled": True},
    "consultancy": {"protocol": "consultancy"},
    "market-making": {"protocol": "market-making"},
    "no-sides": {"protocol": "no-sides"},
    "weak": {},
    "transcript": {},
}


class DebateSettings(Section):
    """Who argues about each row, how long, and who reads it; students never do."""

    # "none" holds none: the same members, which read the rows alone.
    protocol: Literal["debate", "consultancy", "market-making", "no-sides", "none"] = "debate"
    model: str | None = None  # that argues; without: the strong model
    weak_model: str | None = None  # that argues in control-debate-weak; without: the supervisor's
    turns: Count = 3
    members: Count = 4  # supervisors, each with its own transcripts; a label is their mean
    bagging: bool = True  # each member learns from a resample of the groups of weak-train, as those of an ensemble
    shared: bool = False  # all members read the transcripts of the first
    shuffled: bool = False  # each row has the transcript of another one of its set, of the same sides
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_new_tokens: Count = 128  # of a turn
    template: str | None = None  # "own", a Jinja file or "none"; without: the tokenizer's own, if it has one
    question: str = ""  # what is argued about a row; without: which of the two labels is right
    named: bool = True  # whether members read which label a speaker argues for, beside what is said
    prompts: str | None = None  # a file of prompts; without: those that come along
    seed: int | None = Field(None, ge=0)  # of the transcripts; without: each seed of the recipe has its own
    file: Path | None = None  # transcripts of people or APIs, or of `w2s debate`; nothing is generated then

    @model_validator(mode="after")
    def _speakers(self) -> "DebateSettings":
        if self.protocol == "debate" and self.turns < 2:
            raise ValueError(
                f"turns = {self.turns}: a debate needs at least 2, one of each side; or set protocol = 'consultancy'"
            )
        if self.file is not None and self.model is not None:
            raise ValueError("file and model exclude each other: transcripts are read, or a model makes them")
        return self

    @property
    def is_held(self) -> bool:
        """Whether there are any transcripts."""
        return self.protocol != NONE

    def argues_anew(self, control: str) -> bool:
        """Whether a control has transcripts of its own."""
        return control == "weak" or self.under(control).protocol not in (NONE, self.protocol)

    def under(self, control: str) -> "DebateSettings":
        """The same with the one thing changed that a control changes; the members stay."""
        return self.model_copy(update=CHANGES.get(control, {}))


def refuse_debate(debate: DebateSettings | None, kind: str, model: str | None, methods: Iterable[str]) -> None:
    """ValueError for a supervisor that cannot read transcripts, and for controls of a debate that is not held.

    `kind` and `model` are the supervisor's.
    """
    controls = [name for name in methods if name.startswith(DEBATE_CONTROL)]
    if debate is None:
        if controls:
            raise ValueError(f"method {controls[0]!r} is a control of a debate: add [debate], or leave it out")
        return
    if kind not in READERS:
        raise ValueError(
            f"debate: a supervisor of kind {kind!r} reads no transcripts: set weak.kind to {', '.join(READERS)}"
        )
    if not debate.is_held and controls:
        raise ValueError(f"debate.protocol = 'none' holds no debate: leave {', '.join(controls)} out")
    if WEAK_MODEL in controls and debate.weak_model is None and model is None:
        raise ValueError(
            f"method {WEAK_MODEL!r} needs a weak model that argues: set debate.weak_model, or leave it out"
        )


def with_base(values: dict[str, Any]) -> dict[str, Any]:
    """A recipe's values with the supervisor without transcripts among its methods, wherever a debate is held."""
    debate, methods = values.get("debate"), values.get("methods")
    protocol = debate.get("protocol") if isinstance(debate, dict) else getattr(debate, "protocol", NONE)
    if debate is None or protocol == NONE or not isinstance(methods, list) or BASE in methods:
        return values
    return {**values, "methods": [BASE, *methods]}
