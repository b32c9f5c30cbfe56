"""The stresses of a task file: a variant of a task in which training differs from the plain task at an exact rate."""

from typing import Literal

from pydantic import Field, model_validator

from .rules import Rule

KINDS = ("distractor", "imbalance", "no_answer", "easy_only")


class Distractor(Rule):
    """Words that are written into the texts of one class, so that they tell the label without being its reason."""

    rate: float = Field(gt=0, le=1)  # the share of the rows of that class
    text: str = Field(min_length=1)  # at the end of the row's text, or around it where {text} stands in it
    label: Literal[0, 1] = 1  # the class

    def written(self, text: str) -> str:
        """A row's text with the distractor.

        >>> Distractor(rate=1, text="(verified)").written("It rains.")
        'It rains. (verified)'
        """
        return self.text.replace("{text}", text) if "{text}" in self.text else f"{text} {self.text}"


class EasyOnly(Rule):
    """Training on easy rows alone: by a field of the source, or by the length of the text in characters."""

    field: str | None = None
    values: list[str | int | float | bool] = Field([])  # of easy rows
    shortest: float | None = Field(None, gt=0, lt=1)  # this share of the training rows, and what is no longer
    longest: float | None = Field(None, gt=0, lt=1)

    @model_validator(mode="after")
    def _one_rule(self) -> "EasyOnly":
        rules = [self.field is not None, self.shortest is not None, self.longest is not None]
        if sum(rules) != 1:
            raise ValueError("give one rule: field and values, or shortest, or longest")
        if bool(self.values) != (self.field is not None):
            raise ValueError("field and values belong together: the values of the field that make a row easy")
        return self


class Stress(Rule):
    """What differs from the plain task, whose test rows stay as they are: the control. One kind a task file."""

    distractor: Distractor | None = None
    imbalance: float | None = Field(None, gt=0, lt=1)  # the share of label 1
    no_answer: float | None = Field(None, gt=0, lt=1)  # the share of rows whose text tells no label any more
    easy_only: EasyOnly | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "Stress":
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            named = f"{' and '.join(given)} are given" if given else "none is there"
            raise ValueError(f"give one of {', '.join(KINDS)} a task file; {named}")
        return self

    @property
    def copies(self) -> int:
        """How many altered copies of the test rows there are."""
        return 2 if self.distractor is not None else int(self.no_answer is not None)
