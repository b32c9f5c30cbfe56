"""Tasks: a TOML file says how a dataset's own fields become binary rows; adding a task needs no Python."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from w2s_probes.errors import InputError, some
from w2s_probes.ids import content_id
from w2s_probes.settings import validated
from w2s_probes.tables import read_table

TASKS = Path(__file__).parent.parent / "data" / "tasks"


class Label(BaseModel):
    """Which value of which field is label 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str
    positive: list[str | int | bool]


class Task(BaseModel):
    """One binary task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str  # template: {field}, dotted for nested fields
    label: Label
    group: list[str] = []  # fields that rows must share to be kept on one side of a split
    balance: bool = True  # as many rows of each class, by leaving out some of the larger

    def rows(self, table: pd.DataFrame, where: str) -> pd.DataFrame:
        """The rows (id, text, label 0/1, group) of a table in the source's own fields.

        Rows of equal text are one row: the first is kept, or none where their labels differ. `where` names the
        table in errors.
        """
        records: list[dict[str, Any]] = table.to_dict(orient="records")  # type: ignore[assignment]
        wanted = {value if isinstance(value, str) else str(value).lower() for value in self.label.positive}
        built = []
        for number, record in enumerate(records, start=1):
            place = f"{where}, row {number}"
            text = re.sub(r"\{([\w.]+)\}", lambda m, r=record, p=place: str(_field(r, m[1], p)), self.text)  # type: ignore[misc]
            value = _field(record, self.label.field, place)
            label = int((value if isinstance(value, str) else str(value).lower()) in wanted)
            group = "\x1f".join(str(_field(record, name, place)) for name in self.group) or text
            built.append({"id": content_id(text), "text": text, "label": label, "group": content_id(group)})
        rows = pd.DataFrame(built)
        if rows["label"].nunique() < 2:
            raise InputError(
                f"{where}: every label is {rows['label'].iloc[0]}: does `label.positive` name values of field "
                f"{self.label.field!r} as they stand in the file?"
            )
        contradictory = rows.groupby("id")["label"].transform("nunique") > 1
        return rows[~contradictory].drop_duplicates("id").reset_index(drop=True)


def _field(record: dict[str, Any], name: str, place: str) -> Any:
    """A field's value, `a.b` meaning field b of field a."""
    value: Any = record
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            raise InputError(f"{place}: no field {name!r}; it has {some(list(record), 8)}")
        value = value[part]
    return value


def find_task(name: str) -> tuple[str, Task]:
    """A task and its short name, from a name in data/tasks or the path of a task file."""
    path = Path(name) if name.endswith(".toml") else TASKS / f"{name}.toml"
    if not path.is_file():
        known = sorted(p.stem for p in TASKS.glob("*.toml"))
        raise InputError(f"task {name!r}: no file {path}; known tasks: {', '.join(known)}")
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML ({error})") from error
    return path.stem, validated(Task, settings, str(path))


def read_task(name: str, folder: Path) -> tuple[Task, dict[str, pd.DataFrame]]:
    """A task with its `train` and `test` rows, from `folder`/NAME/train.jsonl.gz and test.jsonl.gz.

    A test row whose text or group is also in train stays in test; the train row goes.
    """
    short, task = find_task(name)
    parts = {}
    for part in ("train", "test"):
        files = [folder / short / f"{part}{ending}" for ending in (".jsonl.gz", ".jsonl", ".csv", ".parquet")]
        path = next((file for file in files if file.is_file()), files[0])
        parts[part] = task.rows(read_table(path).drop(columns="id", errors="ignore"), str(path))
    test = parts["test"]
    leaks = parts["train"]["id"].isin(test["id"]) | parts["train"]["group"].isin(test["group"])
    parts["train"] = parts["train"][~leaks].reset_index(drop=True)
    return task, parts
