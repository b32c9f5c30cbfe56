"""What filters say of the weak labels themselves: the rates of a noise channel beside the true ones, kinds of rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from w2s_probes.filtering.judges import KINDS

from ...results.names import parse_trial_key
from ...results.weak_rates import RATES
from ..drawing.cells import Column, Table, TableCell, estimate, number, words
from ..load.folder import FinishedRun

TITLES = {"rate_01": "P(weak 1 | true 0)", "rate_10": "P(weak 0 | true 1)"}
ABOUT = (
    "by the noise channel, which reads no truth",
    "by the truth of the training rows, a soft label y counting as y of a 1, as the channel counts it",
    "the share whose label is on the wrong side of ½",
)
BORDER = "at the border: no estimate"


@dataclass(frozen=True)
class NoiseView:
    """The section's tables, and a sentence on each."""

    lines: list[str]
    tables: list[Table]


def noise_view(run: FinishedRun) -> NoiseView | None:
    """The rates and the kinds of rows that a run's methods have found; None where none looked for them."""
    trials = [(*parse_trial_key(key), made) for key, made in run.record["runs"].items()]
    channels = [(task, seed, own, made) for task, seed, made in trials if (own := _notes(made, "rate_01"))]
    overlaps = [(task, seed, own) for task, seed, made in trials if (own := _notes(made, "no_change_point"))]
    view = NoiseView([], [])
    if channels:
        view.lines.append(_held(channels))
        view.tables.append(_channels(channels))
    if overlaps:
        view.lines.append(_parted(overlaps))
        view.tables.append(_overlaps(overlaps))
    return view if view.tables else None


def _notes(made: Mapping[str, Any], name: str) -> dict[str, float]:
    """The notes of the first method that has this one; all methods of a trial have found the same."""
    return next((dict(own) for own in made.get("methods", {}).values() if name in own), {})


def _channels(trials: list[tuple[str, int, dict[str, float], Any]]) -> Table:
    columns = [Column("task", False), Column("seed")]
    for rate in RATES:
        about = ABOUT if rate == RATES[0] else ("", "", "")
        names = (f"{TITLES[rate]} [95 %]", "true (oracle)", "of classes (oracle)")
        columns += [Column(name, about=text) for name, text in zip(names, about, strict=True)]
    columns.append(Column("status", False))
    rows = []
    for task, seed, own, made in trials:
        true = made.get("weak_rates", {})
        row = [words(task), number(seed, ".0f")]
        for rate in RATES:
            row.append(estimate(own.get(rate), own.get(f"{rate}_low"), own.get(f"{rate}_high"), ".2f"))
            row.append(number(true.get(rate), ".2f"))
            row.append(number(true.get(rate.replace("rate", "class")), ".2f"))
        status = BORDER if own.get("at_border") else "" if f"{RATES[0]}_low" in own else "few rows: no interval"
        rows.append([*row, words(status, "unstable" if own.get("at_border") else "")])
    return Table("Rates of the noise channel, by task and seed", columns, rows)


def _held(trials: list[tuple[str, int, dict[str, float], Any]]) -> str:
    """How many of the intervals hold the true rate."""
    border = sum(bool(own.get("at_border")) for _, _, own, _ in trials)
    held = told = 0
    for _, _, own, made in trials:
        for rate in RATES:
            true, low = made.get("weak_rates", {}).get(rate), own.get(f"{rate}_low")
            if true is not None and low is not None and not own.get("at_border"):
                told += 1
                held += low <= true <= own[f"{rate}_high"]
    beside = f" {held} of {told} intervals hold the true rate." if told else ""
    at = f" In {border} of {len(trials)} trials it is at the border, where its rates are no estimate." if border else ""
    return f"The noise channel takes labels of a class to be wrong alike, whatever the row.{at}{beside}"


def _overlaps(trials: list[tuple[str, int, dict[str, float]]]) -> Table:
    columns = [
        Column("task", False),
        Column("seed"),
        Column("overlap density", about="overlap rows over all training rows"),
        *(Column(kind) for kind in KINDS),
        Column("gain in confidence", about="share of squared distances that the change point saves; .75 of uniform"),
        Column("gain in similarity", about="the same of the likeness to hard rows; .64 of normal values"),
        Column("status", False),
    ]
    rows: list[list[TableCell]] = []
    for task, seed, own in trials:
        counts = [own.get(f"{kind}_rows") for kind in KINDS]
        known = [count for count in counts if count is not None]
        density = own["overlap_rows"] / sum(known) if len(known) == len(KINDS) else None
        rows.append(
            [
                words(task),
                number(seed, ".0f"),
                number(density),
                *(number(count, ",.0f") for count in counts),
                number(own.get("confidence_gain"), ".2f"),
                number(own.get("similarity_gain"), ".2f"),
                words("no change point: all rows stay" if own["no_change_point"] else ""),
            ]
        )
    return Table("Hard, overlap and easy rows, by task and seed", columns, rows)


def _parted(trials: list[tuple[str, int, dict[str, float]]]) -> str:
    none = sum(bool(own["no_change_point"]) for _, _, own in trials)
    said = f" In {none} of {len(trials)} trials there is no change point, and all rows stay." if none else ""
    return (
        "Hard rows are those of which the supervisor is unsure; of the others, overlap rows are most like a hard one."
        + said
    )
