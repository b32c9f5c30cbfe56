"""The section of a steering: how far a probe's direction moves the model, beside random directions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from extract.steering.steer_files import CONTROLS

from ..drawing.cells import Column, Table, TableCell, estimate, narrowed, number, p_value, shown, words
from ..drawing.figures import Bar, Figure, FigureLine, forest, lines
from ..load.steered_files import SteeredFile

SIGNED = "+.3f"


@dataclass(frozen=True)
class SteeringView:
    """The content of a section."""

    key: str
    name: str
    headline: str
    facts: list[tuple[str, str]]
    results: Table
    figures: list[Figure]
    altered: dict[str, str]


def steering_view(one: SteeredFile, key: str) -> SteeringView:
    """Build the section."""
    record = one.record
    figures = [_forest(record, key)] if record["by"] == "ablate" else list(_curves(record, key))
    return SteeringView(key, one.name, _headline(record), _facts(record), _results(record), figures, one.altered)


def _headline(record: dict[str, Any]) -> str:
    """Sentences on the largest strength: the movement, and the kinds of random directions that it is not beyond."""
    last, stream = record["results"][-1], record["steered"]
    moved, at = last["log_odds"], f"layer {stream['layer']}"
    did = f"taking the {stream['probe']} direction out of {at}"
    if record["by"] == "add":
        did = f"adding the {stream['probe']} direction at {at} at strength {last['strength']:g}"
    text = f"{did} moves the log-odds of {_read(record)} by {_told(moved)}, mean of {record['n']:,} rows"
    least = 1 / (1 + record["random"])
    beyond = [one["control"] for one in last["beside"] if _p(one) <= least]
    within = [one["control"] for one in last["beside"] if _p(one) > least]
    parts = []
    if beyond:
        parts.append(f"beyond every one of {record['random']} random directions ({', '.join(beyond)})")
    if within:
        known = ", ".join(f"{one['control']} p = {_p(one):.2g}" for one in last["beside"] if one["control"] in within)
        parts.append(f"not beyond those of {known}")
    return f"{text[0].upper()}{text[1:]}; {', '.join(parts)}."


def _p(beside: dict[str, Any]) -> float:
    """The one-sided p of an addition, that by sizes of an ablation."""
    toward = beside["p_toward"]
    return float(beside["p_size"] if toward is None else toward)


def _read(record: dict[str, Any]) -> str:
    if record["read"] != "words":
        return f"the probe of {str(record['read']).replace(':', ' ')}"
    return " against ".join(repr(word.strip()) for word in reversed(record["words"]))


def _facts(record: dict[str, Any]) -> list[tuple[str, str]]:
    stream, base = record["steered"], record["base"]
    where = "every token" if stream["from_token"] == 0 else f"tokens from {stream['from_token']} on"
    facts = [
        ("model", stream["model"]),
        ("direction", f"{stream['probe']} at layer {stream['layer']}, position {stream['position']}"),
        ("learned from", f"{stream['learned']:,} rows"),
        ("steered", f"{record['n']:,} other rows, {where}, in {stream['dtype']}"),
        ("read", _read(record)),
        ("beside it", f"{record['random']} random directions of each kind, of the same length"),
    ]
    if record["by"] == "add":
        share = f", {stream['scale'] / stream['length']:.1%} of a row's vector" if stream["length"] else ""
        facts.append(("strength 1", f"{stream['scale']:.3g} long{share}"))
    if record["prompt"] is not None:
        facts.append(("prompt", record["prompt"]))
    facts.append(("log-odds before", shown(base["log_odds"], SIGNED)))
    if record["groups"] is not None:
        facts.append(("intervals", f"over {record['groups']:,} groups"))
    return facts


def _results(record: dict[str, Any]) -> Table:
    base = record["base"]
    kinds = [one["control"] for one in record["results"][0]["beside"]]
    columns = [
        Column("strength", about="in standard deviations of learned rows' projections on the direction"),
        Column("log-odds moved [95 %]", about="mean over rows; interval over rows, or their groups"),
        Column("P(1) moved [95 %]"),
        Column(
            "two words' probability", about=_before(base["said"], ".1%") + ", mean; low: it would say something else"
        ),
        Column("AUROC of weak labels", about=_before(base["auroc_weak"])),
        Column("AUROC of the truth", about=_before(base["auroc_truth"]) + "; an oracle's"),
    ]
    for kind in kinds:
        columns.append(Column(f"{kind} [95 % band]", about=f"mean movements of directions {CONTROLS.get(kind, '')}"))
        columns.append(Column(f"p, {kind}", about="exact rank; towards the strength's sign, or of an ablation by size"))
    rows: list[list[TableCell]] = []
    for one in record["results"]:
        cells = [
            words("taken out") if one["strength"] is None else number(one["strength"], "g"),
            _cell(one["log_odds"]),
            _cell(one["p"]),
            number(one["said"], ".1%"),
            number(one["auroc_weak"]),
            number(one["auroc_truth"], mark="oracle"),
        ]
        for beside in one["beside"]:
            cells += [_band(beside), p_value(_p(beside))]
        rows.append(cells)
    empty = [at for at in range(3, 6) if all(row[at].value is None for row in rows)]
    return narrowed("What the direction moves, beside random ones", columns, rows, empty)


def _before(value: float | None, spec: str = ".3f") -> str:
    return "after" if value is None else f"after; {shown(value, spec)} before"


def _cell(found: dict[str, Any]) -> TableCell:
    return estimate(found["value"], found["low"], found["high"], SIGNED)


def _band(beside: dict[str, Any]) -> TableCell:
    return estimate(beside["mean"], beside["low"], beside["high"], SIGNED)


def _told(found: dict[str, Any]) -> str:
    return _cell(found).text


def _forest(record: dict[str, Any], key: str) -> Figure:
    (only,) = record["results"]
    own = only["log_odds"]
    bars = [Bar(record["steered"]["probe"], own["value"], own["low"], own["high"])]
    bars += [Bar(one["control"], one["mean"], one["low"], one["high"], "control") for one in only["beside"]]
    title = f"Direction taken out of layer {record['steered']['layer']}"
    return forest(f"{key}-moved", title, "movement of the log-odds [95 %; controls: band]", bars, spec=SIGNED)


def _curves(record: dict[str, Any], key: str) -> Iterator[Figure]:
    results = record["results"]
    x = [one["strength"] for one in results]
    own = [one["log_odds"] for one in results]
    probe = FigureLine(
        record["steered"]["probe"],
        x,
        [one["value"] for one in own],
        [_end(one, "low") for one in own],
        [_end(one, "high") for one in own],
    )
    for at, kind in enumerate(one["control"] for one in results[0]["beside"]):
        beside = [one["beside"][at] for one in results]
        band = FigureLine(
            f"{kind}, mean and 95 % band",
            x,
            [one["mean"] for one in beside],
            [one["low"] for one in beside],
            [one["high"] for one in beside],
            style=1 + at,
        )
        title = f"Movement beside random directions: {kind}"
        yield lines(f"{key}-{kind}", title, "strength", "movement of the log-odds", [probe, band], reference=0)


def _end(found: dict[str, Any], name: str) -> float:
    return float("nan") if found[name] is None else float(found[name])
