"""Names, numbers and settings in words: those of a sweep, whose record holds the names of the code, and of a recipe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from w2s_probes.probes.registry import PROBES

from ..drawing.cells import shown
from .differences import Difference

SETTINGS = {
    "contamination": "Shares that filters were asked to remove",
    "connectivity": "Components of Topo",
    "folds": "Folds of the logistic probe",
    "index": "Neighbour search",
    "device": "Device of the fits",
    "students": "Losses of students",
    "student_filter": "Filters of students",
    "student_relabel": "Relabellings of students",
}
KEY = 12  # digits of a store's key, which are enough to tell it from others
LISTED = 6  # values that are shown one by one
FEW = 9  # methods named in a sentence


def first_names(names: Sequence[str]) -> str:
    """The first names of a list, and the number of the others.

    >>> first_names(["a", "b"])
    'a, b'
    """
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


def signed(value: float) -> str:
    """A difference with its sign."""
    return shown(value, "+.3f")


def signed_difference(one: Difference) -> str:
    """A difference with its sign and its interval."""
    value, low, high = one.estimate.value, one.estimate.low, one.estimate.high
    return f"{signed(value)} [{signed(low)}, {signed(high)}]"


def captions() -> dict[str, str]:
    """What a report calls each setting of a sweep; a probe without a value has none beside its name."""
    return {entry.setting: entry.values for entry in PROBES.values() if entry.value is not None} | SETTINGS


def readers() -> dict[str, set[str]]:
    """The probes that read a setting, of those settings that not every probe reads."""
    return {
        **{entry.setting: {name} for name, entry in PROBES.items()},
        "folds": {name for name, entry in PROBES.items() if entry.cross_fitted},
        "connectivity": {name for name, entry in PROBES.items() if "connectivity" in entry.options},
    }


def facts(plain: pd.DataFrame, record: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Pairs of a setting's name and its values. Settings that no probe of the sweep reads are left out."""
    layers = sorted(plain["layer"].dropna().astype(int).unique())
    probes = [str(one) for one in plain["probe"].unique()]
    found = [
        ("Label sets", ", ".join(map(str, plain["labels"].unique()))),
        ("Layers", _listed(list(layers))),
        ("Probes", ", ".join(PROBES[one].title if one in PROBES else one for one in probes)),
        ("Seeds", ", ".join(str(int(seed)) for seed in sorted(plain["seed"].dropna().unique()))),
    ]
    record = record or {}
    for name, own in record.get("labels", {}).items():
        found.append((f"Rows of {name}", f"{own['training_rows']:,} training, {own['held_out_rows']:,} held out"))
    if "store" in record:
        found.append(("Model", Path(record["store"].get("model") or "").name))
        key = record["store"].get("key") or ""
        found.append(("Key of the activations", key if len(key) <= KEY else f"{key[:KEY]}…"))
    called, read_by = captions(), readers()
    for name, value in record.get("grid", {}).items():
        read = name in called and not read_by.get(name, set(probes)).isdisjoint(probes)
        read |= name == "folds" and any(":" in probe for probe in probes)
        if read and value not in ([], None):
            found.append((called[name], _listed(value)))
    return [(name, value) for name, value in found if value]


def recipe_words(table: Mapping[str, Any], within: str = "") -> list[str]:
    """The settings of a recipe's table as it would say them; empty lists and tables, and None, are left out.

    >>> recipe_words({"knn_k": 50, "attention": {"gated": False}, "classifiers": {}, "layers": [2, 4]})
    ['knn_k = 50', 'attention.gated = false', 'layers = 2, 4']
    """
    said = []
    for name, value in table.items():
        if isinstance(value, Mapping):
            said += recipe_words(value, f"{within}{name}.")
        elif value not in (None, []):
            values = value if isinstance(value, list) else [value]
            said.append(f"{within}{name} = {', '.join(map(_recipe_word, values))}")
    return said


def _recipe_word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"({'; '.join(recipe_words(value))})"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _listed(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    if len(value) > LISTED:
        return f"{len(value)} values from {_short(value[0])} to {_short(value[-1])}"
    return ", ".join(map(_short, value))


def _short(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"
