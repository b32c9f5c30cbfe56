"""The cell that a sweep has chosen, read from its record for a later command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..io.json_files import read_json
from ..io.readers import readable
from ..io.sealed import not_as_written
from ..io.tables import FORMATS
from ..probes.registry import PROBES, value_in_words
from .beside import record_path


@dataclass(frozen=True)
class ChosenCell:
    """A probe with its value at a layer."""

    labels: str  # the label set of the sweep that it was chosen for
    layer: int
    probe: str
    k: int | None
    l2: float | None
    oracle: bool  # whether the truth chose

    def __str__(self) -> str:
        cell = ", ".join([f"layer {self.layer}", self.probe, *value_in_words(self.k, self.l2)])
        return f"{cell}, the best cell for the labels of {self.labels}"


def files_of_sweep(path: Path | str) -> list[Path]:
    """The record and the tables that belong to a sweep, named by any of them; whether they are there or not."""
    path = Path(path)
    stem = label_set_name(path).removesuffix(".json")
    return [path, *(path.with_name(stem + ending) for ending in (".json", *FORMATS))]


def chosen_cell(path: Path | str, store_key: str, labels: Path | str) -> ChosenCell:
    """The best cell of a sweep's record (`sweep.json`, or its table's name) for a label file.

    Of several label sets the one with the file's name is taken. InputError where there is no record, where it was
    altered, where the sweep was of another store than the one with this key, or where no label set has that name.
    """
    path = Path(path)
    beside = record_path(path) if any(path.name.endswith(ending) for ending in FORMATS) else path
    remedy = "give the .json beside the table of `w2s sweep`"
    if not beside.is_file():
        raise InputError(f"{path}: no record of a sweep there: {remedy}")
    record = read_json(beside, remedy)
    if not isinstance(record, dict) or not record.get("best") or not isinstance(record.get("store"), dict):
        raise InputError(f"{beside}: no record of a sweep: {remedy}")
    if altered := list(not_as_written(beside, record, [])):
        raise InputError(f"{altered[0]}: not as the sweep wrote it: sweep again")
    store = record["store"]
    if store.get("key") != store_key:
        raise InputError(f"{beside}: is of another store, {store.get('path')}: give that store, or sweep this one")
    try:
        bests = {str(best["labels"]): _cell(best) for best in record["best"]}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{beside}: its best cells are not as a sweep writes them: sweep again") from error
    name = label_set_name(Path(labels))
    if len(bests) > 1 and name not in bests:
        raise InputError(f"{beside}: holds the label sets {', '.join(bests)} and no {name!r}: give --layer a number")
    return bests[name] if name in bests else next(iter(bests.values()))


def _cell(best: Any) -> ChosenCell:
    if best["probe"] not in PROBES:
        raise ValueError(f"{best['probe']!r} is no probe")
    k, l2 = best["k"], best["l2"]
    return ChosenCell(
        labels=str(best["labels"]),
        layer=int(best["layer"]),
        probe=str(best["probe"]),
        k=None if k is None else int(k),
        l2=None if l2 is None else float(l2),
        oracle=bool(best["oracle"]),
    )


def label_set_name(path: Path | str) -> str:
    """The name of a file's labels in a sweep: its own without the ending."""
    path = Path(path)
    return next((path.name.removesuffix(ending) for ending in readable() if path.name.endswith(ending)), path.name)
