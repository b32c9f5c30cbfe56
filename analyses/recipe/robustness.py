"""The recipe's `[robustness]`: the supervisors' errors that `w2s robust` tries students on, and how it chooses."""

from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator

from .section import Count, Section

# `w2s_probes.simulated.ErrorKind`, whose room takes seconds to load.
Family = Literal["own", "random", "longest", "shortest", "strong-unconfident", "strong-confidently-correct"]
Rate = Annotated[float, Field(gt=0, lt=0.5)]  # from a half on labels say the opposite


class Robustness(Section):
    """Families of supervisor errors at several rates, made on weak-train, and how students are chosen by them."""

    families: list[Family] = Field(list(get_args(Family)), min_length=1)  # `own` is at the supervisor's own rate
    rates: list[Rate] = Field([0.2], min_length=1)  # of wrong labels, for every other family
    delta: float | None = Field(None, ge=0)  # that a student must gain by; unless given it is made from paired errors
    rounds: Count = 2000  # of a replay
    audited: Count = 20  # rows whose truth a replay reads in a round
    held_out: float = Field(0.4, gt=0, lt=1)  # of the groups of weak-train, to judge students by
    metric: Literal["auroc", "accuracy"] = "auroc"  # that students are chosen by; replays read accuracy

    @field_validator("families", "rates")
    @classmethod
    def _each_once(cls, values: list[object]) -> list[object]:
        if len(set(values)) < len(values):
            raise ValueError(f"names something twice: {', '.join(map(str, values))}")
        return values
