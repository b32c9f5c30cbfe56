"""Arguments and options that several commands share: one name and one meaning each."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..probes.connectivity import Connectivity as Connectivity
from ..students.finetuning.settings import Tracker as Tracker

# As the library has them, whose modules are too heavy for the help of a command.
PROBE_NAMES = ("topo", "knn", "logistic")
ChooseBy = Literal["weak_brier", "weak_auroc", "auroc", "accuracy"]
HELD_OUT = 0.2
BEST = "best"  # of a sweep

StorePath = Annotated[Path, typer.Argument(help="Activation store, from `w2s extract`.")]
LabelsPath = Annotated[
    Path,
    typer.Argument(help="JSONL, CSV or Parquet with `id`, `label` = P(1), and where present `truth`, `group`."),
]
Layer = Annotated[
    str, typer.Option(help="One stored layer: index, negative index, `middle`, or `best`, as a sweep chose (--from).")
]
From = Annotated[
    Path | None, typer.Option("--from", help="A sweep's record, sweep.json: where --layer best and --by best look.")
]
By = Annotated[
    str,
    typer.Option(
        help="The probe: topo, knn, logistic, module:Class of a scikit-learn classifier, or `best` (--from).",
        autocompletion=lambda incomplete: [name for name in (*PROBE_NAMES, BEST) if name.startswith(incomplete)],
    ),
]
Audit = Annotated[
    Path | None,
    typer.Option(help="A file with `id` and `truth` of some rows drawn at random, beside those of LABELS."),
]
K = Annotated[int | None, typer.Option(min=1, help="Neighbours, of knn and topo; 50 unless --mode says otherwise.")]
L2 = Annotated[float | None, typer.Option(min=0, help="Penalty of logistic; .01 unless said.")]
KnnK = Annotated[int | None, typer.Option(min=1, help="--k, as `w2s sweep` calls it for knn.")]
TopoK = Annotated[int | None, typer.Option(min=1, help="--k, as `w2s sweep` calls it for topo.")]
LogisticL2 = Annotated[float | None, typer.Option("--logistic-l2", min=0, help="--l2, as `w2s sweep` calls it.")]
Connect = Annotated[Connectivity | None, typer.Option(help="Of topo's components; strong unless --mode says.")]
InSample = Annotated[bool, typer.Option("--in-sample", help="Score rows with themselves, as the published code.")]
Index = Annotated[
    str | None,
    typer.Option(
        help="Of knn and topo: exact, unless you name a torch device such as cuda, or a faiss factory string.",
        autocompletion=lambda incomplete: [name for name in ("exact", "cuda") if name.startswith(incomplete)],
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Of the cross-fitting folds.")]
Kind = Literal["auto", "plain", "json", "none"]  # of progress
ShowProgress = Annotated[
    Kind,
    typer.Option(
        "--progress",
        help="auto: a bar on a terminal, elsewhere a line each half minute; plain: a line a step; json: the same for "
        "programs; none. On stderr.",
    ),
]
SetOption = Annotated[list[str], typer.Option("--set", help="Override a key of the recipe: table.key=value.")]
