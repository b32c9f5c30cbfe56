"""`w2s foretell`: whether weak labels are likely to help, before students are trained; whether a probe transfers."""

from pathlib import Path
from typing import Annotated

import typer

from ...errors import InputError
from ...printable import listed
from ..options import L2, K, ShowProgress
from ..probe_choice import ProbeChoice

WHAT = "give STORE LABELS --layer --out, STORE --layer --probe --probe, or --run"


def foretell(
    store: Annotated[Path | None, typer.Argument(help="Activation store, from `w2s extract`; not with --run.")] = None,
    labels: Annotated[
        Path | None,
        typer.Argument(
            help="JSONL, CSV or Parquet with `id`, `label` = P(1), and where present `truth`, `group`. With --probe "
            "the target's rows by `id`; all of STORE if absent."
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="One stored layer: index, negative index, or `middle`; not with --run.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A table: .csv, .jsonl or .parquet, a line a measure; with --run RUN/foretold.csv if absent."
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="The probe: {probes}, module:Class of a classifier; logistic unless said.")
    ] = None,
    k: K = None,
    l2: L2 = None,
    weak_store: Annotated[
        Path | None, typer.Option(help="The weak model's store: without it the kernels have no number.")
    ] = None,
    weak_layer: Annotated[
        str | None, typer.Option(help="Its layer: index, negative index, or `middle`; -1 unless said.")
    ] = None,
    trusted: Annotated[
        Path | None,
        typer.Option(
            help="A file with `id` and `truth` of rows that one has had labelled; else LABELS' truth: oracle."
        ),
    ] = None,
    probe: Annotated[
        list[Path] | None,
        typer.Option(help="A saved linear probe, .safetensors; two or more: do they rank the rows of STORE alike?"),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="A folder of `w2s run`: every measure of each of its tasks and seeds.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="The run's --cache, where it had one.")] = None,
    draws: Annotated[
        int | None,
        typer.Option(min=0, help="Permutations by which chance is shown, a probe each; 3, of a run 1 unless said."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of folds and draws.")] = 0,
    show: ShowProgress = "auto",
) -> None:
    """Say what is known, before a student is trained, of whether it will gain on its weak supervisor.

    Each measure stands beside its level of chance, and beside how well it has foretold gains in the study of
    docs/results.md: none does so well that it should be relied on. Measures that read the truth say so.

    With --run each task and seed of a finished run is measured, from what it left in its cache, beside what its
    students gained. With --probe twice the Mahalanobis cosine of saved probes says how a probe will transfer to the
    rows of STORE.

    Example: `w2s foretell acts weak.jsonl --layer 2 --out foretold.csv`
    """
    from ...io.files import refuse_no_file
    from ...io.tables import table_format

    if out is not None:
        table_format(out)
        refuse_no_file(out)
    typed: dict[str, object] = {"STORE": store, "LABELS": labels, "--layer": layer, "--out": out, "--by": by}
    typed |= {"--k": k, "--l2": l2}
    typed |= {"--weak-store": weak_store, "--weak-layer": weak_layer, "--trusted": trusted, "--probe": probe or None}
    typed |= {"--run": run, "--cache": cache, "--draws": draws}
    given = {name: value for name, value in typed.items() if value is not None}
    if run is not None:
        _refuse_others(given, "--run", {"--run", "--cache", "--out", "--by", "--k", "--l2", "--draws"})
        from ..foretold_runs import foretell_of_run

        foretell_of_run(run, cache or run, out, _choice("0", by, k, l2), 1 if draws is None else draws, seed, show)
        return
    if probe:
        _refuse_others(given, "--probe", {"STORE", "LABELS", "--layer", "--out", "--probe"})
        _refuse_missing(given, ("STORE", "--layer"))
        from ..compared_probes import compare_probes

        assert store is not None
        assert layer is not None
        compare_probes(store, labels, layer, probe, out)
        return
    if cache is not None:
        raise InputError("--cache is of --run: give that, or leave it out")
    _refuse_missing(given, ("STORE", "LABELS", "--layer", "--out"))
    from ..foretold_labels import ForetoldFiles

    assert store is not None
    assert labels is not None
    assert layer is not None
    assert out is not None
    files = ForetoldFiles(store, labels, layer, out, weak_store, weak_layer, trusted)
    files.foretell(_choice(layer, by, k, l2), 3 if draws is None else draws, seed, show)


def _choice(layer: str, by: str | None, k: int | None, l2: float | None) -> ProbeChoice:
    """The probe as typed; InputError for one that there is none of, or that only a sweep can choose."""
    from ..labelled_layer import refuse_no_probe

    choice = ProbeChoice.typed(layer, by or "logistic", k, l2, {}, None, None)
    if "best" in (layer, by):
        raise InputError("--layer best and --by best take a sweep's choice: give a layer and a probe here")
    refuse_no_probe(choice.by)
    return choice


def _refuse_missing(given: dict[str, object], needed: tuple[str, ...]) -> None:
    if missing := [name for name in needed if name not in given]:
        raise InputError(f"w2s foretell needs {listed(missing)} here: {WHAT}")


def _refuse_others(given: dict[str, object], of: str, read: set[str]) -> None:
    """InputError for what was typed that this way of foretelling does not read."""
    if others := [name for name in given if name not in read]:
        raise InputError(f"{others[0]} is not read with {of}: leave one of them out")
