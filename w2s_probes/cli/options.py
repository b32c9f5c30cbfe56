"""Arguments and options that several commands share: one name and one meaning each."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..students.settings import Tracker as Tracker

# As the library has them, whose modules are too heavy for the help of a command.
PROBE_NAMES = ("topo", "knn", "logistic")
Connectivity = Literal["weak", "strong", "mutual"]
ChooseBy = Literal["weak_brier", "weak_auroc", "auroc", "accuracy"]
HELD_OUT = 0.2

StorePath = Annotated[Path, typer.Argument(help="Activation store, from `w2s extract`.")]
LabelsPath = Annotated[
    Path,
    typer.Argument(help="JSONL, CSV or Parquet with `id`, `label` = P(1), and where present `truth`, `group`."),
]
Layer = Annotated[str, typer.Option(help="One stored layer: index, negative index, or `middle`.")]
By = Annotated[
    str,
    typer.Option(
        help="The probe: topo, knn, logistic, or module:Class of a scikit-learn classifier.",
        autocompletion=lambda incomplete: [name for name in PROBE_NAMES if name.startswith(incomplete)],
    ),
]
K = Annotated[int | None, typer.Option(min=1, help="Neighbours, of knn and topo; 50 unless --mode says otherwise.")]
L2 = Annotated[float | None, typer.Option(min=0, help="Penalty of logistic; .01 unless said.")]
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
SetOption = Annotated[list[str], typer.Option("--set", help="Override a key of the recipe: table.key=value.")]
