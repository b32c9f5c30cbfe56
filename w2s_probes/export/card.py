"""The dataset card: the meaning of the rows, their origin, and a warning against conclusions that they do not bear."""

import json
from typing import Any

import numpy as np
import pyarrow as pa

from ..rows.groups import GROUP

COLUMNS = {
    "id": "the row's id in the label file",
    "text": "what a model reads",
    "label": "the class to learn, 0 or 1: `soft_label` above one half",
    "soft_label": "the same as P(label = 1)",
    "prompt": "what both answers reply to",
    "chosen": "the text that is better by the label",
    "rejected": "the other one",
    "first_is_chosen": "whether the file's first text is the chosen one",
    "id_chosen": "the id of the chosen text's row",
    "id_rejected": "the id of the other's",
    "weak_label": "the weak supervisor's P(1), before any relabelling",
    "p": "the probe's P(1), out-of-sample unless `probe` says in-sample",
    "fold": "the fold in which a cross-fitted probe had not seen the row; empty for kNN and Topo",
    "keep": "whether the filter keeps the row",
    "new_label": "the label after filtering or relabelling, P(1)",
    "score": "how far the weak label is from the probe's P(1)",
    "reason": "why the row was dropped or changed; empty where it was not",
    "probe": "what judged the row",
    "layer": "of the strong model, whose activations the probe read; 0 is the embedding output",
    "store": "the key of those activations: a hash of model, rows, position and dtype",
    GROUP: "rows of one group are related, and belong on one side of any split",
    "split": "of the label file",
    "truth": "GROUND TRUTH, for evaluation alone: whoever trains on it, or chooses anything by it, has an oracle",
}
WARNING = """\
**These labels are a weak supervisor's, and some are wrong.** That a probe dropped or changed a label does not make
the rest right: in the published study of such filters (EleutherAI, "Experiments in Weak-to-Strong Generalization",
2024) no intervention reliably beat training on all weak labels. Compare with the unfiltered set, and with as many rows
dropped at random, before you conclude anything."""


def card(table: pa.Table, record: dict[str, Any], files: dict[str, str]) -> str:
    """The text of README.md; `files` is the data file of each split."""
    preference = "chosen" in table.column_names
    task = "text-classification" if "text" in table.column_names or not preference else "reinforcement-learning"
    head = [
        "---",
        f"pretty_name: {json.dumps('Weak labels of ' + str(record['source']['file']), ensure_ascii=False)}",
        f"task_categories:\n- {task}",
        f"size_categories:\n- {_size(table.num_rows)}",
        "tags:\n- weak-to-strong\n- weak-supervision\n- w2s-probes",
        "configs:\n- config_name: default\n  data_files:",
        *(f"  - split: {split}\n    path: {path}" for split, path in files.items()),
        "---",
    ]
    body = [
        f"# Weak labels of {record['source']['file']}",
        f"Written by `w2s export --format {record['format']}` (w2s-probes {record['version']}).",
        WARNING,
        "## Rows",
        _counts(table, record),
        "## How they were made",
        _made(table, record),
        "## Columns",
        "| column | type | meaning |\n|---|---|---|\n" + "\n".join(_column(column) for column in table.schema),
    ]
    return "\n".join(head) + "\n\n" + "\n\n".join(body) + "\n"


def _column(column: pa.Field) -> str:
    name = str(column.name)
    meaning = COLUMNS.get(name, "")
    for side in ("_chosen", "_rejected"):
        if not meaning and name.endswith(side):
            meaning = f"`{name.removesuffix(side)}` of the {side[1:]} text: {COLUMNS.get(name.removesuffix(side), '')}"
    return f"| `{name}` | {column.type} | {meaning or 'a field of the label file'} |"


def _counts(table: pa.Table, record: dict[str, Any]) -> str:
    lines = [f"{n} {split}" for split, n in record["splits"].items()]
    what = "pairs" if "chosen" in table.column_names else "rows"
    text = f"{table.num_rows} {what} ({', '.join(lines)}) from the label file's {record['of_rows']} rows."
    if record["left_out"]:
        text += " Left out: " + ", ".join(f"{n} {why}" for why, n in record["left_out"].items()) + "."
    if "classes" in record:
        text += f" {record['classes']}"
    if "label" in table.column_names:
        positive = float(np.mean(table["label"].to_numpy()))
        text += f" {positive:.1%} have label 1."
    return text


def _made(table: pa.Table, record: dict[str, Any]) -> str:
    """The provenance of the rows in sentences; what differs between rows stands in their columns."""
    source, judged = record["source"], []
    for name in ("probe", "layer", "store"):
        column = next((c for c in (name, f"{name}_chosen") if c in table.column_names), None)
        values = sorted({str(v) for v in table[column].unique().to_pylist() if v is not None}) if column else []
        judged.append(f"{name} {', '.join(values)}" if values else "")
    said = f"SHA-256 {source['sha256']}" if "sha256" in source else "in memory"
    lines = [f"- label file: `{source['file']}` ({said})"]
    lines.append(f"- judged by: {'; '.join(filter(None, judged)) or 'no probe'}")
    lines.append(f"- options: {json.dumps(record['options'], sort_keys=True, ensure_ascii=False)}")
    return "\n".join(lines)


def _size(n: int) -> str:
    """The hub's name for a number of rows."""
    names = ["n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M"]
    return names[min(len(names) - 1, max(0, len(str(n)) - 3))]
