"""Tables of a run's record: row sets, models, and time by step."""

from typing import Any

from ...results.names import parse_trial_key
from ..drawing.cells import Column, Table, TableCell, number, words

KINDS = {"activations": "extraction", "trained": "training", "neighbors": "neighbours", "opinions": "probes"}


def row_sets(record: dict[str, Any]) -> Table:
    """Sizes and class balance of every set."""
    sets = list(dict.fromkeys(name for made in record["runs"].values() for name in made.get("splits", {})))
    columns = [Column("task", False), Column("seed"), *(Column(f"{name}: rows (label 1)") for name in sets)]
    columns.append(Column("hash of the rows", False))
    rows = []
    for key, made in record["runs"].items():
        task, seed = parse_trial_key(key)
        splits = made.get("splits", {})
        cells = [
            TableCell(f"{splits[name]['rows']:,} ({splits[name]['positive']:.0%})", float(splits[name]["rows"]))
            if name in splits
            else number(None)
            for name in sets
        ]
        rows.append([words(task), number(seed, ".0f"), *cells, _hash(record.get("rows", {}).get(task))])
    return Table("Row sets, with the share of label 1", columns, rows)


def models(record: dict[str, Any]) -> Table:
    columns = [Column("model", False), Column("hash of the weights", False)]
    rows = [[words(name), _hash(value)] for name, value in record.get("models", {}).items()]
    return Table("Models", columns, rows)


def _hash(value: object) -> TableCell:
    return words(value, "hash")


def cost(record: dict[str, Any]) -> Table | None:
    """Seconds by method over all tasks and seeds, of what was made in this run and of what was read from the cache."""
    taken: dict[str, list[dict[str, Any]]] = {}
    for made in record["runs"].values():
        for name, one in made.get("taken", {}).items():
            taken.setdefault(name, []).append(one)
    if not taken:
        return None
    columns = [
        Column("stage", False),
        Column("seconds", about="all tasks and seeds together"),
        *(Column(f"{name}, s") for name in KINDS.values()),
        Column("from the cache", about="tasks and seeds where nothing had to be made"),
    ]
    rows = []
    for name, every in taken.items():
        kinds = [sum(one["made"].get(kind, 0.0) for one in every) for kind in KINDS]
        reused = sum(not one["made"] for one in every)
        rows.append(
            [
                words(name),
                number(sum(one["seconds"] for one in every), ".2f"),
                *(number(value or None, ".2f") for value in kinds),
                TableCell(f"{reused} of {len(every)}", float(reused)),
            ]
        )
    return Table("Where the time of this run went", columns, rows)
