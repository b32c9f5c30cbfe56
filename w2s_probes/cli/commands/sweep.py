"""`w2s sweep`: layers x probes x values x seeds x label sets, from one read and one search a layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...devices import refuse_no_device, refuse_no_name
from ...errors import InputError
from ...io.files import refuse_input, refuse_no_file
from ...printable import listed
from ...probes.class_specs import classifier_names
from ...probes.registry import ONCE, PROBES
from ...share import Share
from .. import progress, terminal
from ..number_lists import numbers, seeds_of, whole
from ..options import ChooseBy, Connectivity, FitDevice, ShowProgress, StorePath
from ..probe_options import with_sweep_values
from ..student_options import SweptStudents
from ..units import in_bytes

if TYPE_CHECKING:
    from ...sweep import Grid, SweepResult

FIGURES = (".png", ".svg", ".pdf")
FREE = 0.9  # of the memory that is free, unless --max-memory says otherwise


@with_sweep_values
def sweep(
    store: StorePath,
    labels: Annotated[
        list[Path],
        typer.Argument(
            help="One label file or several, with `id`, `label`, and where present `truth`, `group`, `split`."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The table: .csv, .parquet or .jsonl; a record is written beside it.")],
    layers: Annotated[
        str, typer.Option("--layers", "--layer", help="`all`, `middle`, an index, a range 0-12, or a list 1,4,-1.")
    ] = "all",
    values: dict[str, str | bool] = {},  # noqa: B006 - an option for each probe
    classifier: Annotated[
        list[str] | None,
        typer.Option(help="A scikit-learn classifier, as module:Class or 'module:Class(C=0.1)'; may be repeated."),
    ] = None,
    contamination: Annotated[
        str, typer.Option(help="Also what filters by each cell remove: shares such as .05,.1.")
    ] = "",
    connectivity: Annotated[Connectivity | None, typer.Option(help="Of topo's components; strong unless said.")] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Of cross-fitted out-of-sample scores, as logistic's; 5 unless said.")
    ] = None,
    seeds: Annotated[
        str,
        typer.Option("--seeds", "--seed", help="Of those folds, and of students, such as 0,1,2 or 0-9; 0 unless said."),
    ] = "",
    students: Annotated[
        str, typer.Option(help="Also teach heads at every layer and seed, by these losses: xent,logconf.")
    ] = "",
    student_filter: Annotated[
        str, typer.Option(help="Rows that students do without: those that one of {probes} would drop; none: all.")
    ] = "none",
    student_relabel: Annotated[
        str, typer.Option(help="Probes whose scores other students learn in place of the weak labels.")
    ] = "",
    index: Annotated[
        str,
        typer.Option(help="exact, a torch device such as cuda, `approximate`, or a faiss factory string."),
    ] = "exact",
    device: FitDevice = "cpu",
    test: Annotated[
        Path | None, typer.Option(help="Rows to hold out, with `id`, `label`, and perhaps `truth`.")
    ] = None,
    held_out: Annotated[
        float | None,
        typer.Option(help="Share of the rows to hold out, where neither --test nor `split` names any; .2 unless said."),
    ] = None,
    transfer: Annotated[
        bool,
        typer.Option(
            "--transfer", help="Also how alike linear probes and those of the held-out rows' labels rank them."
        ),
    ] = False,
    choose_by: Annotated[
        ChooseBy, typer.Option(help="What the best cell is best at; auroc and accuracy read the truth: --oracle.")
    ] = "weak_brier",
    oracle: Annotated[bool, typer.Option("--oracle", help="Let the truth choose, and mark the choice.")] = False,
    plot: Annotated[Path | None, typer.Option(help="A figure: .png, .svg or .pdf.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Layers at a time; at most one a core.")] = 1,
    max_memory: Annotated[
        str | None, typer.Option(help="For all of them, such as 16GB; what is free, unless given.")
    ] = None,
    backend: Annotated[Literal["local", "ray", "dask"], typer.Option(help="Where the layers are done.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of a running Ray or Dask cluster.")] = None,
    shard: Annotated[
        str | None, typer.Option(help="i/n: this process's share, i from 0; auto: as torchrun or Slurm number it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be measured, and do nothing.")] = False,
    show: ShowProgress = "auto",
) -> None:
    """Measure every probe at every layer and value, out of sample and on rows held out.

    With no values given, kNN and logistic take those of the published study. The best cell is chosen by weak labels
    and measured again on held-out rows. A sweep that was killed goes on with the same command.

    Example: `w2s sweep acts weak.jsonl --knn-k 1,5,10,50 --logistic-l2 1e-4,1e-2 --out sweep.csv --plot sweep.png`
    """
    from ...io.tables import refuse_no_table, table_format
    from ...places.memory import free_memory
    from ...store.activation_store import ActivationStore
    from ...store.layers import refuse_no_layers
    from ...sweep.beside import parts_path, record_path, refuse_other_record
    from ...sweep.swept_labels import joined_labels, read_labels

    table_format(out)
    for place in (out, record_path(out), plot):
        if place is not None:
            refuse_no_file(place)
            refuse_input(place, *labels, test)
    refuse_other_record(out)
    if plot is not None and plot.suffix not in FIGURES:
        raise InputError(f"{plot}: unknown kind of figure; the name must end in one of {', '.join(FIGURES)}")
    if oracle and choose_by not in ("auroc", "accuracy"):
        raise InputError(
            "--oracle: nothing reads the truth; say by --choose-by auroc or accuracy what it is to choose by"
        )
    if choose_by in ("auroc", "accuracy") and not oracle:
        raise InputError(f"--choose-by {choose_by} reads the truth: add --oracle, and the choice is marked so")
    refuse_no_layers(layers)
    refuse_no_name(device, "--device")
    heads = SweptStudents(students, student_filter, student_relabel)
    heads.refuse_unknown()
    wanted = _Wanted(values, classifier or [], contamination, connectivity, folds, seeds, heads, transfer)
    wanted.refuse_no_numbers()
    for file in (*labels, test):
        if file is not None:
            refuse_no_table(file)
    if backend == "local" and not dry_run:
        refuse_no_device(device)
    memory = in_bytes(max_memory, "--max-memory") if max_memory else free_memory()
    if memory is not None and not max_memory:
        memory = round(FREE * memory)
    share = Share.parse(shard)
    plain = ActivationStore.open(store)
    terminal.say_normed(plain, plain.select(layers))
    opened, files, tests = joined_labels(plain, labels, test, paired=wanted.reads_pairs)
    rows = read_labels(files, tests, held_out, opened.ids, str(opened.path))
    from ...places import Place
    from ...places.sole_writer import sole_writer
    from ...sweep.sweeping import SweepPlan
    from ..answers_on_scores import SweepAnswer

    where = Place(backend, address, jobs, memory if max_memory or backend == "local" else None)
    grid = wanted.grid(min(len(one.training) for one in rows), index, device)
    if oracle and (without := [one.name for one in rows if one.training.truth is None]):
        raise InputError(f"--choose-by {choose_by}: the rows of {without[0]} have no `truth` to choose by")
    planned = SweepPlan.plan(opened, rows, grid, layers, parts_path(out))
    if dry_run:
        description = planned.description()
        for line in description:
            terminal.answer(line)
        terminal.answer_json(SweepAnswer.unfinished(out, description))
        return
    work = planned.key + choose_by + "-oracle" * oracle
    with sole_writer(out, parts_path(out) / record_path(out).name, work=work):
        with progress.steps(show) as report:
            result = planned.run_share(share, where, report)
        if result is None:
            terminal.say(
                f"{out}: share {share.index}/{share.count} is done; the table is written when the others are, too"
            )
            terminal.answer_json(SweepAnswer.unfinished(out))
            return
        result.write(out, choose_by, oracle=oracle)
    _show(result, choose_by, oracle)
    plots = [] if plot is None else _draw(result, plot)
    terminal.say(f"Written: {', '.join(map(str, [out, record_path(out), *plots]))}")
    terminal.answer_json(SweepAnswer.of(result, out, record_path(out), plots, {"by": choose_by, "oracle": oracle}))
    for one, path in zip(result.labels, labels, strict=True):
        if result.best(one, choose_by, oracle=oracle).is_chance:
            terminal.say(f"{one}: no cell tells the weak labels apart, the best one included: no probe to filter by")
            continue
        best = ["--layer", "best", "--by", "best", "--from", record_path(out)]
        best += ["--out", out.parent / f"{one}-kept.jsonl"]
        terminal.next_command("w2s", "filter", store, path, *best, max_memory=max_memory)


@dataclass(frozen=True)
class _Wanted:
    """Options that say what is swept, as typed."""

    values: dict[str, str | bool]  # of each probe; of one that has no value, whether it is swept
    classifiers: Sequence[str]
    contamination: str
    connectivity: Connectivity | None
    folds: int | None
    seeds: str
    students: "SweptStudents"
    transfer: bool

    def refuse_no_numbers(self) -> None:
        """InputError for a list that holds something else than numbers."""
        self.probe_values()
        seeds_of(self.seeds)
        numbers(self.contamination, "--contamination")

    def probe_values(self) -> dict[str, Sequence[float]]:
        """The values of each probe."""
        classifiers = dict.fromkeys(classifier_names(self.classifiers, "--classifier"), ONCE)
        return classifiers | {
            name: (ONCE if text else ())
            if isinstance(text, bool)
            else (whole if PROBES[name].value == "k" else numbers)(text, PROBES[name].flag)
            for name, text in self.values.items()
        }

    @property
    def reads_pairs(self) -> bool:
        """Whether a probe reads contrast pairs, so that all of them do."""
        names = [name for name, values in self.probe_values().items() if values]
        students = self.students.grid([])
        return any(PROBES[name].pairs for name in [*names, *(() if students is None else students.judges)])

    def grid(self, rows: int, index: str, device: str) -> "Grid":
        """The grid for this number of training rows; InputError for options that nothing in it reads."""
        from ...sweep import Grid
        from ...sweep.grid import published

        values = self.probe_values()
        if not any(values.values()):
            values = published(rows)
        shares = numbers(self.contamination, "--contamination")
        students = self.students.grid(shares)
        if students is not None:
            values = students.with_judges(values)
        cross_fitted = [entry for name in dict.fromkeys([*PROBES, *values]) if (entry := PROBES[name]).cross_fitted]
        for option, given, readers in (
            ("--connectivity", self.connectivity, [e for e in PROBES.values() if "connectivity" in e.options]),
            ("--folds", self.folds, cross_fitted),
            ("--seeds", self.seeds, cross_fitted),
        ):
            if option == "--seeds" and students is not None:
                continue
            if given and not any(values.get(entry.name) for entry in readers):
                flags = listed(entry.flag for entry in readers)
                raise InputError(f"{option} is for the cells of {flags}, of which there are none: leave it out")
        seeds = seeds_of(self.seeds) or [0]
        folds = self.folds or 5
        return Grid(values, shares, self.connectivity or "strong", folds, seeds, index, students, self.transfer, device)


def _show(result: "SweepResult", by: ChooseBy, oracle: bool) -> None:
    from .. import heatmap
    from ..findings import of_shares_found

    of_students = result.best_students(by if oracle else "weak_auroc", oracle=oracle) if result.has_students else None
    students = {} if of_students is None else {one.labels: one for one in of_students.found}
    for reason in () if of_students is None else of_students.reasons.values():
        terminal.say(reason)
    for labels in result.labels:
        best = result.best(labels, by, oracle=oracle)
        heatmap.show(result, best, terminal.width())
        terminal.say(best)
        if labels in students:
            heatmap.show_students(result, students[labels])
            terminal.say(students[labels])
        if result.record.get("labels", {}).get(labels, {}).get("related_rows_left_out"):
            left_out = result.record["labels"][labels]["related_rows_left_out"]
            terminal.say(f"{left_out} rows to hold out share a group or a text with training rows: left out")
        if not best.held_out:
            terminal.say(
                "no rows were held out: that value is the best of many, and too good; give --test or --held-out"
            )
    for line in of_shares_found(result.found()):
        terminal.say(line)
    for reason, count in result.left_out().items():
        terminal.say(f"{count} cells {reason}")


def _draw(result: "SweepResult", path: Path) -> list[str]:
    """A figure for each label set, named after it where there are several."""
    written = []
    for labels in result.labels:
        place = path if len(result.labels) == 1 else path.with_name(f"{path.stem}-{labels}{path.suffix}")
        result.save_plot(place, labels)
        written.append(str(place))
    return written
