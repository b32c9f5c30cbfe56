"""`export`: the one way from a label file to any of the formats."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InputError, did_you_mean
from ..io.files import replacing
from ..io.tables import FORMATS as ENDINGS
from ..labels.label_file import LabelFile, Labels
from .folders import refuse_foreign, replacing_folder, write_record
from .formats import EXPORTERS, Exporter, Format
from .hub_folder import write_hub
from .label_rows import Choice, Kept, LabelRows, RowChoice, chosen_rows
from .preference import Pairs, preferences
from .reference import refuse_oai_place

WITH_CARDS = ("hf", "trl")  # folders whose record is also that of a card


@dataclass(frozen=True)
class Exported:
    """The record of an export.

    >>> print(Exported(Path("kept-hf"), "hf", 2, 3, {"train": 2}, {"dropped by the filter": 1}))
    kept-hf: hf, 2 rows (train 2) of 3; left out: 1 dropped by the filter
    """

    path: Path
    format: Format
    rows: int  # pairs, of preferences
    of_rows: int  # of the label file
    splits: dict[str, int]  # rows of each, by the names in the export; empty for formats that are one file
    left_out: dict[str, int]  # why, and how many rows
    remark: str = ""  # on what trainers will miss in it

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {n}" for name, n in self.splits.items())
        gone = ", ".join(f"{n} {why}" for why, n in self.left_out.items())
        text = f"{self.path}: {self.format}, {self.rows} rows{f' ({parts})' if parts else ''} of {self.of_rows}"
        return f"{text}; left out: {gone}" if gone else text


def export(
    labels: Labels,
    out: Path | str,
    format: Format,
    *,
    take: Kept | None = None,
    label: Choice | None = None,
    hard: bool = False,
    splits: Sequence[str] = (),
    truth: bool = False,
    fields: Sequence[str] = (),
    texts: Path | str | None = None,
    pairs: Pairs | None = None,
) -> Exported:
    """Write a label set (path, DataFrame with a label file's columns, or LabelSet) in a format; whole or not at all.

    `take`: the rows that the filter `kept`, or `all`; the latter is the default of `cleanlab`, which marks them
    itself, the former of all others. `label`: `new` (after relabelling; the default where there is one) or `weak`;
    `hard` rounds it to 0 or 1. `splits` of train, val and test; all unless said, but `train` alone for `oai`, which is
    one set. `truth` exports the ground truth too, in a column by that name. `fields` are carried along. `texts` is a
    row file whose `text` is joined by id. `pairs` makes preferences of `trl`.

    The same input gives the same bytes. Raises InputError for a format, option or field that is not there, for labels
    that the format cannot hold, where no row is left, and where `out` cannot or must not be written.
    """
    out = Path(out)
    if format not in EXPORTERS:
        raise InputError(f"format {format!r}: {did_you_mean(str(format), EXPORTERS)}")
    exporter = EXPORTERS[format]
    _refuse_place(out, format, exporter)
    if pairs is not None and format != "trl":
        raise InputError(f"preferences (--task preference, pairs=) are of the format trl, not {format}")
    if pairs is not None and hard:
        raise InputError("hard labels and preferences do not go together: rounded labels are no longer undecided")
    file = LabelFile.read(labels)
    if format == "oai" and not splits and "split" in file.columns:
        splits = ("train",)
    kept = take or ("all" if format == "cleanlab" else "kept")
    choice = RowChoice(kept, label, hard, tuple(splits), truth, tuple(fields))
    if pairs is not None:
        carried = dict.fromkeys((*fields, *pairs.fields(file.columns, file.where)))
        choice = replace(choice, fields=tuple(carried))
    chosen = chosen_rows(file, choice, texts)
    if exporter.endings:
        return _as_file(chosen, out, format, exporter)
    return _as_folder(chosen, out, format, exporter, choice, pairs)


def _refuse_place(out: Path, format: Format, exporter: Exporter) -> None:
    """InputError, before anything is read, for a path that does not fit the format or must not be written."""
    if exporter.endings:
        if not out.name.endswith(exporter.endings):
            raise InputError(f"{out}: {format} is one file, whose name ends in {' or '.join(exporter.endings)}")
        return
    if out.name.endswith(ENDINGS):
        raise InputError(f"{out}: {format} is a folder: give --out a name without {out.suffix}")
    if format == "oai":
        refuse_oai_place(out)
    refuse_foreign(out)


def _as_file(rows: LabelRows, out: Path, format: Format, exporter: Exporter) -> Exported:
    with replacing(out) as temporary:
        written = exporter.write(rows, temporary, _record(rows, format))
    if isinstance(written, LabelRows):
        rows = written
    return Exported(out, format, len(rows), rows.of_rows, {}, rows.left_out)


def _as_folder(
    rows: LabelRows, out: Path, format: Format, exporter: Exporter, choice: RowChoice, pairs: Pairs | None
) -> Exported:
    options = {name: value for name, value in asdict(choice).items() if value}
    record = _record(rows, format)
    with replacing_folder(out) as folder:
        if pairs is not None:
            table, rows = preferences(rows, pairs)
            options["pairs"] = {name: value for name, value in asdict(pairs).items() if value}
        about = record | {"options": options, "left_out": rows.left_out}
        if rows.mix is not None:
            about["classes"] = rows.mix.sentence
        found = exporter.write(rows, folder, about) if pairs is None else write_hub(table, folder, about)
        counts = dict(found) if isinstance(found, Mapping) else {}
        kept = about if format in WITH_CARDS else record
        write_record(folder, kept | {"options": options, "left_out": rows.left_out, "splits": counts})
    textless = format == "hf" and "text" not in rows.table.column_names
    remark = "no texts: give --texts ROWS to join them by id" if textless else ""
    written = sum(counts.values()) if counts else len(rows)
    return Exported(out, format, written, rows.of_rows, counts, rows.left_out, remark)


def _record(rows: LabelRows, format: Format) -> dict[str, Any]:
    from .. import __version__

    return {"format": format, "version": __version__, "source": rows.source, "of_rows": rows.of_rows}
