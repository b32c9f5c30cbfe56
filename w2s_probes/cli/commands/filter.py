"""`w2s filter`: which weak labels a probe would drop."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ...errors import InputError
from ...filtering.judges import RATERS, PruneBy, Similarity
from ...progress import heard
from .. import progress, terminal
from ..options import (
    JUDGES,
    L2,
    Alpha,
    Audit,
    Connect,
    Device,
    FilterBy,
    From,
    Index,
    InSample,
    K,
    LabelsPath,
    Layer,
    MaxMemory,
    Seed,
    ShowProgress,
    StorePath,
)
from ..other_judges import OverlapOptions, count_is_given, judged, refuse_other_options
from ..probe_choice import JudgedFiles, ProbeChoice
from ..probe_options import with_probe_value


@with_probe_value
def filter_labels(
    store: StorePath,
    labels: LabelsPath,
    layer: Layer,
    out: Annotated[
        Path, typer.Option(help="Every input row with `keep`, `score`, `reason`, `p`, `fold`, `probe`, `layer`.")
    ],
    by: FilterBy = "topo",
    contamination: Annotated[float | None, typer.Option(help="Share of the rows to drop; .1 unless said.")] = None,
    k: K = None,
    l2: L2 = None,
    mode: Annotated[
        Literal["eleuther", "paper"] | None,
        typer.Option(help="Topo as published: strong components and a contamination, or weak ones and a zeta."),
    ] = None,
    connectivity: Connect = None,
    alpha: Alpha = None,
    zeta: Annotated[
        float | None,
        typer.Option(help="Topo: least share of agreeing neighbours, in place of --contamination."),
    ] = None,
    max_removed: Annotated[
        float | None, typer.Option(help="Topo: largest share of the rows that the components may remove.")
    ] = None,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="The same share of each class, so that the class mix stays.")
    ] = False,
    filter_by: Annotated[
        PruneBy | None, typer.Option(help="cleanlab's, of --by confident; prune_by_noise_rate unless said.")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(help="Kinds of rows that stay, of --by overlap: overlap, easy, hard; the first two.")
    ] = None,
    similarity: Annotated[
        Similarity | None, typer.Option(help="Of a row to hard ones, of --by overlap; cosine unless said.")
    ] = None,
    least_gain: Annotated[
        float | None, typer.Option(help="Of --by overlap: squared distances that a change point saves, at least.")
    ] = None,
    audit: Audit = None,
    sweep: From = None,
    index: Index = None,
    device: Device = None,
    in_sample: InSample = False,
    max_memory: MaxMemory = None,
    seed: Seed = 0,
    show: ShowProgress = "auto",
    values: dict[str, float | None] = {},  # noqa: B006 - an option for each probe
) -> None:
    """Mark the rows whose weak label a probe disbelieves. Scores are out-of-sample; no row is left out of the file.

    `--by raters` marks those that several raters disagree about, by the `disagreement` that `w2s combine` has written;
    `--by channel` those whose posterior under a noise channel is of the other class, and `--by confident` cleanlab's
    label issues: these two say themselves how many go, at most --contamination where it is given. `--by overlap` tells
    rows of which the supervisor is unsure (hard), rows like these of which it is sure (overlap), and easy ones apart.

    Rows with `truth`, in LABELS or in an --audit of its own, say how many labels are wrong and how good the removal
    is; they choose nothing.

    Example: `w2s filter acts weak.jsonl --layer 2 --by topo --contamination 0.1 --out kept.jsonl`
    """
    from ...filtering.shares import refuse_shares
    from ...filtering.topo_modes import TOPO_MODES
    from ...io.tables import refuse_unwritable, write_table
    from ..labelled_layer import STUDENTS_OF_PAIRS, LabelledLayer, probe_of

    files = JudgedFiles(store, labels, out, audit, sweep)
    choice = ProbeChoice.typed(layer, by, k, l2, values, connectivity, index, alpha, device).judging(files, JUDGES)
    by, k, l2 = choice.by, choice.k, choice.l2
    for option, given in (("--zeta", zeta), ("--mode", mode), ("--max-removed", max_removed)):
        if by != "topo" and given is not None:
            raise InputError(f"{option} is for topo: with --by {by} give --contamination")
    refuse_other_options(by, in_sample=in_sample, per_class=per_class, contamination=contamination, prune=filter_by)
    overlaps = OverlapOptions.typed(by, keep, similarity, least_gain)
    settings = TOPO_MODES[mode or "eleuther"]
    zeta = settings["zeta"] if zeta is None else zeta
    if zeta is not None and contamination is not None:
        raise InputError("--contamination is not used where a zeta decides (--zeta, --mode paper): give one of them")
    if zeta is not None and per_class and max_removed is None:
        raise InputError("--per-class shares out --contamination or --max-removed, and a zeta has neither")
    share = 0.1 if contamination is None else contamination
    refuse_shares(share, max_removed, zeta)
    connected = connectivity or settings["connectivity"]
    with progress.steps(show) as step:
        step(f"layer {choice.layer} of {store}", 0, 3)
        rows = LabelledLayer.read(store, labels, choice.layer, paired=choice.reads_pairs)
        refuse_unwritable(rows.table, out)
        if by == RATERS:
            rows.disagreement  # noqa: B018 - refused before what takes seconds
        # Only what has passed so far is worth the seconds that these take.
        from ...filtering.disagreement import disagreement_filter
        from ...filtering.topo import topo_filter
        from ...probes import TopoProbe
        from ...relabeling import relabel as out_of_sample_scores
        from ..answers_on_labels import FilterAnswer
        from ..findings import of_approximation, of_filter, teaches

        probe = None if by in JUDGES else probe_of(by, k, l2, connected, index or "exact", alpha, device)
        if isinstance(probe, TopoProbe):
            probe = TopoProbe(k or settings["k_cc"], k or settings["k_zeta"], connected, index or "exact")
        truth = rows.known_truth(audit)
        design = rows.audit_design(audit, truth)
        step("neighbours", 1, 3)
        with heard(step):
            graph = None if probe is None else rows.graph(probe, in_sample)
        step("scores", 2, 3)
        said: list[str] = []
        if isinstance(probe, TopoProbe):
            result = topo_filter(
                rows.X,
                rows.y,
                probe.k_cc,
                probe.k_zeta,
                share,
                connected,
                zeta,
                max_removed=max_removed,
                per_class=per_class,
                groups=rows.groups,
                in_sample=in_sample,
                graph=graph,
            )
        elif probe is None:
            result, said = judged(
                by,
                rows,
                l2=l2,
                seed=seed,
                device=device,
                contamination=contamination,
                per_class=per_class,
                prune=filter_by,
                overlaps=overlaps,
            )
        else:
            p = out_of_sample_scores(probe, rows.X, rows.y, in_sample, groups=rows.groups, seed=seed, graph=graph)
            result = disagreement_filter(rows.y, p, share, per_class=per_class, in_sample=in_sample)
        verdict = result.verdict_fields
        verdict |= {} if probe is None else {"fold": rows.folds(probe, in_sample, seed)}
        dropped = rows.dropped[rows.training]
        advise = not per_class and zeta is None and count_is_given(by, contamination)
        findings = of_filter(result, truth, rows.groups, labels, design=design, dropped=dropped, advise=advise)
        write_table(rows.judged(verdict, choice.named(in_sample, graph)), out)
        step(f"{out} written", 3, 3)
    remarks = [*choice.said(), *rows.read_as, *of_approximation(graph), *said, *findings, *rows.relabelled(labels)]
    for line in remarks:
        terminal.say(line)
    if not teaches(result, dropped):
        remedy = "lower --contamination, or --per-class" if advise else "filter otherwise"
        terminal.say(f"the rows kept are of one class, which teaches no student: {remedy}")
    elif rows.store.paired:
        terminal.say(STUDENTS_OF_PAIRS)
    else:
        words = ("w2s", "student", store, out, "--layer", rows.layer, "--out", out.parent / "student")
        terminal.next_command(*words, max_memory=max_memory)
    terminal.answer_json(FilterAnswer.of(rows, result, truth, choice.named(in_sample, graph), out, remarks))
