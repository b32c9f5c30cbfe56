"""The rules of a task file for labels, right answers and groups."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from w2s_probes.errors import InputError, preview

from .fields import Record, field, plain, text_of


class Rule(BaseModel):
    """A table of a task file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LabelRule(Rule):
    """The rule that gives single texts their label."""

    field: str
    positive: list[str | int | bool] = []  # label 1 for these values and, without `negative`, 0 for all others
    negative: list[str | int | bool] = []  # label 0 for these; with `positive` too, rows with other values are left out
    contains: list[str] = []  # label 1 where a list, or a text of words, has one of these
    above: float | None = None  # label 1 where the number is greater

    @model_validator(mode="after")
    def _one_rule(self) -> "LabelRule":
        rules = [bool(self.positive or self.negative), bool(self.contains), self.above is not None]
        if sum(rules) != 1:
            raise ValueError("give one rule: positive and/or negative, or contains, or above")
        both = {plain(v) for v in self.positive} & {plain(v) for v in self.negative}
        if both:
            raise ValueError(f"positive and negative both name {preview(sorted(both))}")
        return self

    def of(self, record: Record, place: str) -> int | None:
        """A record's label, 0 or 1; None where the rule leaves it out."""
        value = field(record, self.field, place)
        if self.contains:
            words = value if isinstance(value, list) else str(value).split()
            return int(bool({str(word) for word in words} & set(self.contains)))
        if self.above is not None:
            try:
                return int(float(value) > self.above)
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"{place}: field {self.field!r} is {value!r}, but label.above needs a number"
                ) from error
        if plain(value) in {plain(v) for v in self.positive}:
            return 1
        if plain(value) in {plain(v) for v in self.negative}:
            return 0
        return None if self.positive and self.negative else int(not self.positive)


class AnswerRule(Rule):
    """The rule that finds the right one of a question's choices."""

    field: str
    base: Literal[0, 1] | None = None  # the field is an index that starts here
    kind: Literal["letter", "text"] | None = (
        None  # without `base`: a letter, or the right text itself; else whichever fits
    )

    @model_validator(mode="after")
    def _index_or_not(self) -> "AnswerRule":
        if self.base is not None and self.kind is not None:
            raise ValueError(f"base = {self.base} makes it an index, and kind = {self.kind!r} does not: give one")
        return self

    def of(self, record: Record, choices: list[str], place: str) -> int:
        """The position of the right choice. InputError where there is none."""
        value = field(record, self.field, place)
        named = f"{place}: answer field {self.field!r} is {value!r}"
        if self.base is not None:
            return self._index(value, len(choices), named)
        text = str(value)
        letter = ord(text.strip().upper()) - ord("A") if len(text.strip()) == 1 else -1
        as_letter = letter if self.kind != "text" and 0 <= letter < len(choices) else None
        as_text = choices.index(text) if self.kind != "letter" and text in choices else None
        if as_letter is not None and as_text is not None and as_letter != as_text:
            raise InputError(
                f"{named}, both a choice's letter and a choice's text: say answer.kind = 'letter' or 'text'"
            )
        position = as_text if as_text is not None else as_letter
        if position is None:
            what = {"letter": "no letter of", "text": "none of", None: "neither a letter nor the text of one of"}[
                self.kind
            ]
            index = "; for an index give answer.base" if plain(value).lstrip("-").isdigit() else ""
            raise InputError(f"{named}, {what} the {len(choices)} choices {preview(choices)}{index}")
        return position

    def _index(self, value: Any, n: int, named: str) -> int:
        text = plain(value).strip()
        last = n - 1 + (self.base or 0)
        if not text.lstrip("-").isdigit():
            raise InputError(
                f"{named}, not a number: answer.base = {self.base} means an index from {self.base} to {last}"
            )
        if not (self.base or 0) <= int(text) <= last:
            raise InputError(f"{named}: with answer.base = {self.base} the {n} choices are {self.base} to {last}")
        return int(text) - (self.base or 0)


class FieldPart(Rule):
    """A part of a field, in `group`: the text before a mark."""

    field: str
    before: str = Field(min_length=1)  # up to its first occurrence; the whole field where it does not occur

    def of(self, record: Record, place: str) -> str:
        """The part as text."""
        return text_of(field(record, self.field, place), self.field, place).partition(self.before)[0].strip()
