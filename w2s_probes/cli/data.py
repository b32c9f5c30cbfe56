"""`w2s filter` and `w2s relabel`: which weak labels a probe would drop, and what it would say instead."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from ..errors import InputError
from ..filtering import FilterResult, disagreement_filter, topo_filter
from ..labels import LabelSet
from ..probes import Connectivity, KNNProbe, LogisticProbe, Probe, TopoProbe
from ..relabeling import relabel as opinion_of
from ..store import ActivationStore
from ..tables import read_table, table_format, write_table
from . import terminal

StorePath = Annotated[Path, typer.Argument(help="Activation store, from `w2s extract`.")]
LabelsPath = Annotated[
    Path,
    typer.Argument(help="JSONL, CSV or Parquet with `id`, `label` = P(1), and where present `truth`, `group`."),
]
Layer = Annotated[str, typer.Option(help="One stored layer: index, negative index, or `middle`.")]
By = Annotated[Literal["topo", "knn", "logistic"], typer.Option(help="The probe.")]
K = Annotated[int, typer.Option(min=1, help="Neighbours, of knn and topo.")]
L2 = Annotated[float, typer.Option(min=0, help="Penalty of logistic.")]
Connect = Annotated[Literal["weak", "strong", "mutual"], typer.Option(help="Of topo's components.")]
InSample = Annotated[bool, typer.Option("--in-sample", help="Score rows with themselves, as the published code.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the cross-fitting folds.")]


def filter_labels(
    store: StorePath,
    labels: LabelsPath,
    layer: Layer,
    out: Annotated[Path, typer.Option(help="Every input row with `keep`, `score`, `reason`, `probe`, `layer`.")],
    by: By = "topo",
    contamination: Annotated[float, typer.Option(help="Share of the rows to drop.")] = 0.1,
    k: K = 50,
    l2: L2 = 1e-2,
    connectivity: Connect = "strong",
    zeta: Annotated[
        float | None,
        typer.Option(help="Topo: least share of agreeing neighbours, in place of --contamination."),
    ] = None,
    in_sample: InSample = False,
    seed: Seed = 0,
) -> None:
    """Mark the rows whose weak label a probe disbelieves. Scores are out-of-sample; no row is left out of the file.

    Example: `w2s filter acts weak.jsonl --layer 2 --by topo --contamination 0.1 --out kept.jsonl`
    """
    table_format(out)
    rows = _Rows.read(store, labels, layer)
    if by == "topo":
        if in_sample:
            raise InputError("--in-sample is for knn and logistic: topo always leaves a row out of its own neighbours")
        result = topo_filter(rows.X, rows.y, k, k, contamination, connectivity, zeta)
    else:
        if zeta is not None:
            raise InputError(f"--zeta is for topo: with --by {by} give --contamination")
        p = opinion_of(_probe(by, k, l2, connectivity), rows.X, rows.y, in_sample, groups=rows.groups, seed=seed)
        result = disagreement_filter(rows.y, p, contamination)
    verdict = {"keep": result.mask, "score": result.scores, "new_label": rows.y, "reason": result.reasons}
    said = _verdict(result, rows.table[rows.training])
    write_table(rows.judged(verdict, by), out)
    terminal.say(said)


def relabel(
    store: StorePath,
    labels: LabelsPath,
    layer: Layer,
    out: Annotated[Path, typer.Option(help="Every input row with `new_label`, `score`, `probe`, `layer`.")],
    by: By = "knn",
    k: K = 50,
    l2: L2 = 1e-2,
    connectivity: Connect = "strong",
    in_sample: InSample = False,
    seed: Seed = 0,
) -> None:
    """Replace weak labels by a probe's P(label = 1), from a probe that did not learn the row it labels.

    Example: `w2s relabel acts weak.jsonl --layer 2 --by logistic --l2 0.01 --out relabeled.jsonl`
    """
    table_format(out)
    rows = _Rows.read(store, labels, layer)
    p = opinion_of(_probe(by, k, l2, connectivity), rows.X, rows.y, in_sample, groups=rows.groups, seed=seed)
    flipped = (p > 0.5) != (rows.y > 0.5)
    verdict = {"score": np.abs(p - rows.y), "new_label": p, "reason": np.where(flipped, "other class", "")}
    write_table(rows.judged(verdict, by), out)
    terminal.say(f"{len(p)} rows relabelled by {by} at layer {rows.layer}; {int(flipped.sum())} changed class")


@dataclass(frozen=True)
class _Rows:
    """A label file joined to a store. Rows whose `split` is not train pass through unjudged."""

    layer: int
    table: pd.DataFrame  # every row of the file
    training: NDArray[np.bool_]  # which of them are judged
    X: NDArray[np.float32]  # (n, d) activations of those
    y: NDArray[np.float64]  # (n,) and their labels

    @classmethod
    def read(cls, store: Path, labels: Path, layer: str) -> "_Rows":
        opened = ActivationStore.open(store)
        index = opened.resolve(layer)
        table = read_table(labels)
        weak = LabelSet.from_table(table, where=str(labels))
        training = in_split(table, "train", str(labels)) if "split" in table else np.ones(len(table), dtype=bool)
        if not training.any():
            raise InputError(f"{labels}: no row has split = train")
        return cls(index, table, training, opened.layer(index, ids=weak.ids[training]), weak.p[training])

    @property
    def groups(self) -> NDArray[Any] | None:
        """The groups of the judged rows, where the file has them and some rows share one."""
        judged = self.table[self.training]
        if "group" not in judged or not judged["group"].duplicated().any():
            return None
        return judged["group"].astype(str).to_numpy(dtype=object)

    def judged(self, verdict: dict[str, NDArray[Any]], by: str) -> pd.DataFrame:
        """Every input row and field, with the verdict on the judged rows beside them."""
        table = self.table.assign(
            keep=True,
            score=np.nan,
            probe=by,
            layer=self.layer,
            new_label=self.table["label"],
            reason="not a training row",
        ).astype({"reason": object, "new_label": object})
        for name, values in verdict.items():
            table.loc[self.training, name] = values
        return table


def in_split(table: pd.DataFrame, name: str, where: str) -> NDArray[np.bool_]:
    """Which rows (n,) have this `split`; InputError for a split that is not train, val or test."""
    splits = table["split"].map(str)
    unknown = ~splits.isin(["train", "val", "test"])
    if unknown.any():
        row = int(unknown.argmax())
        raise InputError(
            f"{where}: the split of row {table['id'].iloc[row]!r} is {splits.iloc[row][:40]!r}; use train, val or test"
        )
    return (splits == name).to_numpy()


def _probe(by: str, k: int, l2: float, connectivity: Connectivity) -> Probe:
    if by == "logistic":
        return LogisticProbe(l2)
    return KNNProbe(k) if by == "knn" else TopoProbe(k, k, connectivity)


def _verdict(result: FilterResult, table: pd.DataFrame) -> str:
    report = result.report(LabelSet.from_table(table, "truth").p if "truth" in table else None)
    text = f"kept {report['kept']:.0f} of {report['n']:.0f} rows, removed {report['removed']:.0f}"
    if result.overshoot:
        text += f" ({result.overshoot} more than asked for: the components alone removed them)"
    if "precision" in report:
        text += (
            f"; by `truth` {report['precision']:.0%} of the removed labels are wrong, against "
            f"{report['base_rate']:.0%} of all (an oracle's figures)"
        )
    return text
