"""Arguments and options that several commands share: one name and one meaning each."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..devices import KINDS
from ..filtering.judges import CHANNEL, CONFIDENT, OVERLAP, RATERS
from ..probes.connectivity import Connectivity as Connectivity
from ..probes.registry import PROBES
from ..students.finetuning.settings import Tracker as Tracker
from .units import in_bytes


def limited(context: typer.Context, value: str | None) -> str | None:
    """Limit the memory of large arrays until the command has ended."""
    if value is not None:
        from ..memory_limit import memory_limit

        context.with_resource(memory_limit(in_bytes(value, "--max-memory")))
    return value


ChooseBy = Literal["weak_brier", "weak_auroc", "auroc", "accuracy"]
BEST = "best"  # of a sweep
JUDGES = (CHANNEL, CONFIDENT, OVERLAP, RATERS)  # of a filter, in place of a probe

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
        help="The probe: {probes}, module:Class of a scikit-learn classifier, or `best` (--from).",
        autocompletion=lambda incomplete: [name for name in (*PROBES, BEST) if name.startswith(incomplete)],
    ),
]
RelabelBy = Annotated[
    str,
    typer.Option(
        help="The probe: {probes}, module:Class of a scikit-learn classifier, or `best` (--from); "
        "`channel`: the posterior of a noise channel.",
        autocompletion=lambda incomplete: [name for name in (*PROBES, CHANNEL, BEST) if name.startswith(incomplete)],
    ),
]
FilterBy = Annotated[
    str,
    typer.Option(
        help="The probe: {probes}, module:Class of a scikit-learn classifier, or `best` (--from); "
        "`channel`: the posterior of a noise channel; `confident`: cleanlab's confident learning; "
        "`overlap`: what a student can learn from a row; "
        "`raters`: the `disagreement` of LABELS, from `w2s combine`, and no probe.",
        autocompletion=lambda incomplete: [name for name in (*PROBES, *JUDGES, BEST) if name.startswith(incomplete)],
    ),
]
Audit = Annotated[
    Path | None,
    typer.Option(help="A file with `id` and `truth` of some rows drawn at random, beside those of LABELS."),
]
K = Annotated[
    int | None,
    typer.Option(min=1, help="Neighbours, of {readers:k}; {defaults:k} unless --mode says otherwise."),
]
L2 = Annotated[float | None, typer.Option(min=0, help="Penalty of {readers:l2}; {defaults:l2} unless said.")]
Connect = Annotated[Connectivity | None, typer.Option(help="Of topo's components; strong unless --mode says.")]
Alpha = Annotated[
    float | None,
    typer.Option(help="Of {readers:alpha}: how much of a score comes from the neighbours, in (0, 1); .9 unless said."),
]
InSample = Annotated[bool, typer.Option("--in-sample", help="Score rows with themselves, as the published code.")]
Index = Annotated[
    str | None,
    typer.Option(
        help="Of {readers:index}: exact, unless you name a torch device such as cuda, `approximate`, or a faiss "
        "factory string; approximate:recall=0.9 asks for less than .98 of the neighbours.",
        autocompletion=lambda incomplete: [n for n in ("exact", "cuda", "approximate") if n.startswith(incomplete)],
    ),
]


def _devices(incomplete: str) -> list[str]:
    return [name for name in KINDS if name.startswith(incomplete)]


Device = Annotated[
    str | None,
    typer.Option(
        help="Of the fits of {readers:device}, channel and confident: cpu, unless you name a torch device, as cuda.",
        autocompletion=_devices,
    ),
]
FitDevice = Annotated[
    str,
    typer.Option("--device", help="Of what is fitted: cpu, or a torch device such as cuda.", autocompletion=_devices),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        callback=limited,
        help="Such as 4GB: activations and neighbours of more than a quarter of it lie in memory-mapped files "
        "(TMPDIR), and fits go in smaller batches. Labels, texts and libraries stay in memory beside.",
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
