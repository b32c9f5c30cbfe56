"""Audits on disk: tables (CSV, JSONL, Parquet), and Label Studio's JSON, imported there and exported again."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import InputError
from ..io.files import replacing
from ..io.json_files import read_json
from ..io.plain_values import is_missing
from ..io.tables import FORMATS, read_table, table_format, write_table
from ..rows.ids import with_ids
from .audit_rows import ANSWER, CHECKSUM, TEXT, AuditRows

STUDIO = ".json"
ROW = "row_id"  # a row's id in Label Studio, whose exports call the task's own number `id`
KINDS = {"csv": (".csv", ".csv.gz"), "jsonl": (".jsonl", ".jsonl.gz"), "label-studio": (STUDIO,)}


def refuse_no_audit_name(path: Path, kind: str | None = None) -> None:
    """InputError where no audit can be written under this name, or none of this kind."""
    if kind is not None and not path.name.endswith(KINDS[kind]):
        raise InputError(f"{path}: a file of --format {kind} ends in {' or '.join(KINDS[kind])}")
    if path.suffix == STUDIO:
        return
    try:
        table_format(path)
    except InputError as error:
        endings = ", ".join((*FORMATS, f"{STUDIO} (Label Studio)"))
        raise InputError(f"{path}: unknown format; the name of an audit must end in one of {endings}") from error


def refuse_answered(path: Path) -> None:
    """InputError where an audit would be written over one that somebody has answered, be it in part."""
    if not path.is_file():
        return
    try:
        table = _of_studio(path) if path.suffix == STUDIO else read_table(path)
    except InputError:  # nothing that can be read, so no answers
        return
    if CHECKSUM in table and ANSWER in table and any(not is_missing(value) and value != "" for value in table[ANSWER]):
        raise InputError(f"{path}: is an audit with answers: give another --out, or take that file away")


def write_audit(audit: AuditRows, path: Path | str) -> None:
    """Write an audit in the format that the name ends in, whole or not at all."""
    path = Path(path)
    refuse_no_audit_name(path)
    if path.suffix != STUDIO:
        # JSON lines leave a missing field out, and a person is to see where the answer goes.
        blank = {ANSWER: ""} if ".jsonl" in path.name and audit.table[ANSWER].isna().all() else {}
        write_table(audit.table.assign(**blank), path)
        return
    tasks = []
    for record in audit.table.drop(columns=ANSWER).rename(columns={"id": ROW}).to_dict(orient="records"):
        tasks.append({"data": {name: value for name, value in record.items() if value == value}})
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(tasks, indent=1) + "\n", encoding="utf-8")


def read_audit_rows(path: Path | str) -> AuditRows:
    """An audit, answered or not, checked to be the draw that was written; InputError where it is not."""
    path = Path(path)
    refuse_no_audit_name(path)
    table = _of_studio(path) if path.suffix == STUDIO else read_table(path)
    if "id" in table and table["id"].map(str).duplicated().any():
        doubled = table["id"][table["id"].map(str).duplicated()].iloc[0]
        raise InputError(f"{path}: row {doubled!r} stands twice: an audit has each row once")
    return AuditRows.of(table, str(path))


def labeling_config(audit: AuditRows) -> str:
    """Label Studio's labeling config of an audit, whose answers `read_audit_rows` understands."""
    choices = "".join(f'<Choice value="{_attribute(name)}"/>' for name in audit.names)
    return (
        f'<View><Text name="{TEXT}" value="${TEXT}"/><Choices name="{ANSWER}" toName="{TEXT}" choice="single" '
        f'required="true">{choices}</Choices></View>'
    )


def _of_studio(path: Path) -> pd.DataFrame:
    """The table of Label Studio's JSON or JSON-MIN export, or of the import itself."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    tasks = read_json(path, "export it from Label Studio again, as JSON")
    if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict) for task in tasks):
        raise InputError(f"{path}: not a list of Label Studio's tasks")
    rows = []
    for at, task in enumerate(tasks, start=1):
        fields = task.get("data", task)
        if not isinstance(fields, dict) or ROW not in fields:
            raise InputError(f"{path}: task {at} has no {ROW!r}: it was not imported from `w2s audit draw`")
        row = {**fields, "id": fields[ROW]}
        answer = _annotation(task, f"{path}: row {fields[ROW]!r}") if "data" in task else task.get(ANSWER)
        rows.append({**row, ANSWER: answer})
    return with_ids(pd.DataFrame(rows, dtype=object), str(path))


def _annotation(task: dict[str, Any], where: str) -> Any:
    """The one choice of a task's one annotation; None where it was skipped or is not there yet."""
    made = task.get("annotations") or []
    there = [one for one in made if isinstance(one, dict) and not one.get("was_cancelled") and one.get("result")]
    if len(there) > 1:
        raise InputError(f"{where} has {len(there)} annotations: export one of them")
    if not there:
        return None
    for result in there[0]["result"]:
        choices = result.get("value", {}).get("choices") if result.get("from_name") == ANSWER else None
        if choices:
            if len(choices) != 1:
                raise InputError(f"{where} has {len(choices)} choices: one is the answer")
            return choices[0]
    return None


def _attribute(text: str) -> str:
    import html

    return html.escape(text, quote=True)
