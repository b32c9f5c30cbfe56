"""A task file's content: how a dataset's own fields become binary rows."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
from pydantic import Field, ValidationError, field_validator, model_validator

from w2s_probes.errors import InputError
from w2s_probes.rows.groups import GROUP
from w2s_probes.rows.ids import content_id

from .contrast import checked_contrast
from .fields import Record, field, placeholders, plain, render, text_of
from .questions import SEPARATOR, Question, choice_question, pair_question
from .rules import AnswerRule, FieldPart, LabelRule, Rule
from .sources import Hub, Local
from .stress import Stress

KINDS = ("label", "choices", "pair")


class Task(Rule):
    """One binary task: single texts with a label, multiple choice, or pairs of a better and a worse text."""

    text: str  # template: {field}, dotted for nested fields; {choice}, {first}, {second}, {shared}
    label: LabelRule | None = None
    choices: str | list[str] | None = None  # names of the choices' fields, or of one list-valued field
    answer: AnswerRule | None = None
    pair: list[str] | None = Field(None, min_length=2, max_length=2)  # the fields of the better and the worse text
    shared: str | None = Field(None, min_length=1)  # see pair_question
    group: list[str | FieldPart] = Field([])  # what rows must share, all of it, to be kept on one side of a split
    label_names: list[str] | None = Field(None, min_length=2, max_length=2)  # words for labels 0 and 1
    contrast: list[str] | None = Field(None, min_length=2, max_length=2)  # {text} with label 1 said, and with 0 said
    balance: bool = True  # as many rows of each class, by leaving out some of the larger
    hub: Hub | None = None
    local: Local = Local()
    like: str | None = None  # the task, by name or file, whose keys hold where this one has none, and whose rows it has
    stress: Stress | None = None  # what differs from that task in training

    @field_validator("choices", mode="before")
    @classmethod
    def _choices_named(cls, value: Any) -> Any:
        if isinstance(value, str) or (isinstance(value, list) and all(isinstance(name, str) for name in value)):
            if isinstance(value, list) and len(set(value)) < 2:
                raise ValueError("two fields at least, or the name of one field that holds a list")
            return value
        raise ValueError("a list of fields' names, or the name of one field that holds a list")

    @model_validator(mode="after")
    def _one_kind(self) -> "Task":
        kinds = [name for name in KINDS if getattr(self, name) is not None]
        if len(kinds) != 1:
            fault = f"{' and '.join(kinds)} contradict each other" if kinds else "none is there"
            raise ValueError(f"give one of label, choices and pair; {fault}")
        if (self.answer is None) == (self.choices is not None):
            raise ValueError("choices and answer belong together: give both or neither")
        if self.shared is not None and self.pair is None:
            raise ValueError("shared is what the two texts of a pair share: give pair too")
        return self

    @model_validator(mode="after")
    def _template_fits(self) -> "Task":
        names = placeholders(self.text)
        if not names:
            raise ValueError("text: no {field} in it: every row would be the same")
        if self.choices is not None and "choice" not in names:
            raise ValueError("text: {choice} must stand where a choice goes")
        if self.pair is not None and ("choice" in names, "first" in names, "second" in names) not in (
            (True, False, False),
            (False, True, True),
        ):
            raise ValueError("text: of a pair, give {choice} for one of the two, or {first} and {second} for both")
        return self

    @model_validator(mode="after")
    def _contrast_fits(self) -> "Task":
        if self.contrast is not None:
            checked_contrast(self.contrast)
        return self

    @model_validator(mode="after")
    def _local_fits(self) -> "Task":
        if self.local != Local():
            try:
                self.here()
            except ValidationError as error:
                raise ValueError(f"local: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
        return self

    def here(self) -> "Task":
        """The task as its local files have it."""
        local = self.local.model_dump(exclude_unset=True, exclude={"splits"})
        kept = self.model_dump(exclude_unset=True, exclude={"local"})
        if any(kind in local for kind in KINDS):
            kept = {name: value for name, value in kept.items() if name not in (*KINDS, "answer", "shared")}
        return Task.model_validate({**kept, **local})

    def rows(self, table: pd.DataFrame, where: str) -> pd.DataFrame:
        """The rows (id, text, label 0/1, group) of a table in the source's own fields.

        Rows of equal text are one row: the first is kept, or none where their labels differ, nor where the same
        question comes with different right answers. Rows without any text, or whose choices are all the same, are
        left out. `where` names the table in errors.
        """
        return self._rows(self._built(table, where), where)

    def with_candidates(self, table: pd.DataFrame, where: str) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """`rows`, and the candidates of their questions; None for single texts.

        Candidates are rows (id, text, label 1 for the right one, group, question, row): every text that could have
        been drawn for a question, and the id of the row that was. One text may be a candidate of two questions.
        """
        built = self._built(table, where)
        rows = self._rows(built, where)
        if self.label is not None:
            return rows, None
        kept = set(rows["id"])
        records = [
            {
                "id": content_id(text),
                "text": text,
                "label": label,
                GROUP: row[GROUP],
                "question": row["asked"].id,
                "row": row["id"],
            }
            for row in built
            if row["id"] in kept
            for text, label in row["asked"].candidates
        ]
        return rows, pd.DataFrame(records).drop_duplicates(["question", "id"]).reset_index(drop=True)

    def values(self, table: pd.DataFrame, where: str, name: str) -> dict[str, str]:
        """The value of a field of the source by row id, as `rows` has the rows; InputError where a row has none."""
        records: list[dict[str, Any]] = table.to_dict(orient="records")  # type: ignore[assignment]
        found: dict[str, str] = {}
        for row in self._built(table, where):
            record, place = records[row["number"] - 1], f"{where}, row {row['number']}"
            found.setdefault(row["id"], plain(field(record, name, place)))
        return found

    def _rows(self, built: list[dict[str, Any]], where: str) -> pd.DataFrame:
        if not built:
            raise InputError(f"{where}: no row is left once those without text or label are left out")
        rows = pd.DataFrame(built, columns=["id", "text", "label", GROUP])
        if rows["label"].nunique() < 2:
            if self.label is None:
                raise InputError(f"{where}: every label drawn is {rows['label'].iloc[0]}: {len(rows)} rows are too few")
            rule = next(
                name for name in ("positive", "negative", "contains", "above") if name in self.label.model_fields_set
            )
            raise InputError(
                f"{where}: every label is {rows['label'].iloc[0]}: does `label.{rule}` name values of field "
                f"{self.label.field!r} as they stand in the file?"
            )
        contradictory = rows.groupby("id")["label"].transform("nunique") > 1
        return rows[~contradictory].drop_duplicates("id").reset_index(drop=True)

    def _built(self, table: pd.DataFrame, where: str) -> list[dict[str, Any]]:
        """Each usable record's row, its question as `asked`, and its `number`; none of several right answers."""
        records: list[dict[str, Any]] = table.to_dict(orient="records")  # type: ignore[assignment]
        built = list(self._each(records, where))
        if self.label is not None:
            return built
        right: dict[str, set[str]] = {}
        for row in built:
            right.setdefault(row["asked"].key, set()).add(row["asked"].right)
        return [row for row in built if len(right[row["asked"].key]) == 1]

    def _each(self, records: list[dict[str, Any]], where: str) -> Iterator[dict[str, Any]]:
        for number, record in enumerate(records, start=1):
            place = f"{where}, row {number}"
            asked = None
            if self.label is not None:
                text, label = render(self.text, record, place, {}), self.label.of(record, place)
                group = text
            else:
                asked = self._question(record, place)
                if asked is None:
                    continue
                (text, label), group = asked.drawn(), asked.group
            if label is None or not text.strip():
                continue
            if self.group:
                group = SEPARATOR.join(_group_part(part, record, place) for part in self.group)
            row = {"id": content_id(text), "text": text, "label": label, GROUP: content_id(group)}
            yield row | {"asked": asked, "number": number}

    def _question(self, record: Record, place: str) -> Question | None:
        if self.pair is not None:
            better, worse = (text_of(field(record, name, place), name, place) for name in self.pair)
            return pair_question(self.text, record, place, better, worse, self.shared)
        assert self.choices is not None
        assert self.answer is not None
        choices = self._choices(record, place)
        return choice_question(self.text, record, place, choices, self.answer.of(record, choices, place))

    def _choices(self, record: Record, place: str) -> list[str]:
        if isinstance(self.choices, str):
            value = field(record, self.choices, place)
            if not isinstance(value, list) or len(value) < 2:
                raise InputError(
                    f"{place}: field {self.choices!r} is {value!r}, but choices needs a list of two or more"
                )
            return [text_of(entry, self.choices, place) for entry in value]
        assert self.choices is not None
        return [text_of(field(record, name, place), name, place) for name in self.choices]


def _group_part(part: str | FieldPart, record: Record, place: str) -> str:
    return part.of(record, place) if isinstance(part, FieldPart) else text_of(field(record, part, place), part, place)
