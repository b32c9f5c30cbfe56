"""`w2s filter` and `w2s relabel`: which weak labels a probe would drop, and what it would say instead."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import InputError
from ..files import refuse_input, refuse_no_file
from . import terminal
from .options import L2, PROBE_NAMES, By, Connect, Index, InSample, K, LabelsPath, Layer, Seed, StorePath

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..filtering import FilterResult
    from ..neighbors import Neighbors
    from .judging import Rows


def filter_labels(
    store: StorePath,
    labels: LabelsPath,
    layer: Layer,
    out: Annotated[
        Path, typer.Option(help="Every input row with `keep`, `score`, `reason`, `p`, `fold`, `probe`, `layer`.")
    ],
    by: By = "topo",
    contamination: Annotated[float | None, typer.Option(help="Share of the rows to drop; .1 unless said.")] = None,
    k: K = None,
    l2: L2 = None,
    mode: Annotated[
        Literal["eleuther", "paper"] | None,
        typer.Option(help="Topo as published: strong components and a contamination, or weak ones and a zeta."),
    ] = None,
    connectivity: Connect = None,
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
    index: Index = None,
    in_sample: InSample = False,
    seed: Seed = 0,
) -> None:
    """Mark the rows whose weak label a probe disbelieves. Scores are out-of-sample; no row is left out of the file.

    Example: `w2s filter acts weak.jsonl --layer 2 --by topo --contamination 0.1 --out kept.jsonl`
    """
    from ..filtering import disagreement_filter, refuse_shares
    from ..probes import TopoProbe
    from ..relabeling import relabel as opinion_of
    from ..tables import refuse_unwritable, table_format, write_table
    from ..topo_filtering import TOPO_MODES, topo_filter
    from .judging import Rows, probe_of

    table_format(out)
    refuse_no_file(out)
    refuse_input(out, labels)
    _refuse_unread(by, k, l2, connectivity, index)
    for option, given in (("--zeta", zeta), ("--mode", mode), ("--max-removed", max_removed)):
        if by != "topo" and given is not None:
            raise InputError(f"{option} is for topo: with --by {by} give --contamination")
    settings = TOPO_MODES[mode or "eleuther"]
    zeta = settings["zeta"] if zeta is None else zeta
    if zeta is not None and contamination is not None:
        raise InputError("--contamination is not used where a zeta decides (--zeta, --mode paper): give one of them")
    share = 0.1 if contamination is None else contamination
    refuse_shares(share, max_removed, zeta)
    connected = connectivity or settings["connectivity"]
    probe = probe_of(by, k or 50, 0.01 if l2 is None else l2, connected, index or "exact")
    if isinstance(probe, TopoProbe):
        probe = TopoProbe(k or settings["k_cc"], k or settings["k_zeta"], connected, index or "exact")
    rows = Rows.read(store, labels, layer)
    refuse_unwritable(rows.table, out)
    graph = rows.graph(probe, in_sample)
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
    else:
        p = opinion_of(probe, rows.X, rows.y, in_sample, groups=rows.groups, seed=seed, graph=graph)
        result = disagreement_filter(rows.y, p, share, per_class=per_class, in_sample=in_sample)
    verdict = {"keep": result.mask, "score": result.scores, "reason": result.reasons}
    if result.p is not None:
        verdict["p"] = result.p
    verdict["fold"] = rows.folds(probe, in_sample, seed)
    said = _verdict(result, rows)
    if before := int(rows.dropped.sum()):
        said.append(f"{before} rows that had `keep` false before stay out, whatever this probe says of them")
    write_table(rows.judged(verdict, _named(by, in_sample)), out)
    for line in (*_found(graph), *said):
        terminal.say(line)


def relabel(
    store: StorePath,
    labels: LabelsPath,
    layer: Layer,
    out: Annotated[
        Path, typer.Option(help="Every input row with `new_label`, `score`, `p`, `fold`, `probe`, `layer`.")
    ],
    by: By = "knn",
    k: K = None,
    l2: L2 = None,
    connectivity: Connect = None,
    index: Index = None,
    in_sample: InSample = False,
    seed: Seed = 0,
) -> None:
    """Replace weak labels by a probe's P(label = 1), from a probe that did not learn the row it labels.

    Example: `w2s relabel acts weak.jsonl --layer 2 --by logistic --l2 0.01 --out relabeled.jsonl`
    """
    import numpy as np

    from ..relabeling import relabel as opinion_of
    from ..tables import refuse_unwritable, table_format, write_table
    from ..ties import above_half
    from .judging import Rows, probe_of

    table_format(out)
    refuse_no_file(out)
    refuse_input(out, labels)
    _refuse_unread(by, k, l2, connectivity, index)
    probe = probe_of(by, k or 50, 0.01 if l2 is None else l2, connectivity or "strong", index or "exact")
    rows = Rows.read(store, labels, layer)
    refuse_unwritable(rows.table, out)
    graph = None if in_sample else rows.graph(probe, in_sample)
    p = opinion_of(probe, rows.X, rows.y, in_sample, groups=rows.groups, seed=seed, graph=graph)
    flipped = above_half(p) != above_half(rows.y)
    verdict = {"score": np.abs(p - rows.y), "new_label": p, "reason": np.where(flipped, "other class", ""), "p": p}
    verdict["fold"] = rows.folds(probe, in_sample, seed)
    write_table(rows.judged(verdict, _named(by, in_sample)), out)
    how = " in-sample" if in_sample else ""
    for line in _found(graph):
        terminal.say(line)
    terminal.say(f"{len(p)} rows relabelled{how} by {by} at layer {rows.layer}; {int(flipped.sum())} changed class")


def _refuse_unread(by: str, k: int | None, l2: float | None, connectivity: str | None, index: str | None) -> None:
    """InputError for an option that the probe would not look at."""
    readers = (
        ("--k", k, ("topo", "knn")),
        ("--index", index, ("topo", "knn")),
        ("--connectivity", connectivity, ("topo",)),
        ("--l2", l2, ("logistic",)),
    )
    for option, given, probes in readers:
        # A probe that does not exist is refused elsewhere, by its name.
        if given is not None and by not in probes and (by in PROBE_NAMES or ":" in by):
            raise InputError(f"{option} is for {' and '.join(probes)}: leave it out with --by {by}")


def _named(by: str, in_sample: bool) -> str:
    """The probe as the file has it: scores of rows that the probe had learned from are marked."""
    return f"{by}, in-sample" if in_sample else by


def _found(graph: "Neighbors | None") -> list[str]:
    """What an approximate index missed."""
    if graph is None or graph.recall == 1:
        return []
    return [f"approximate neighbours: {graph.recall:.1%} of the true ones were found, measured on 256 rows"]


def _verdict(result: "FilterResult", rows: "Rows") -> list[str]:
    import numpy as np

    from ..reportcard import report_card

    text = f"kept {int(result.mask.sum())} of {len(result.mask)} rows, removed {len(result.removed)}"
    if result.overshoot:
        text += f" ({result.overshoot} more than asked for: the components alone removed them)"
    if result.in_sample:
        text += "; scored in-sample, which flatters the labels"
    lines = [text]
    truth = rows.truth
    known = np.zeros(len(result.mask), dtype=bool) if truth is None else ~np.isnan(truth)
    audited = result.of_rows(known)
    if truth is not None and len(audited.removed):
        card = report_card(audited, truth[known], groups=None if rows.groups is None else rows.groups[known])
        which = "" if known.all() else f", known of {int(known.sum())} rows,"
        lines.append(
            f"by `truth`{which} {card.filter.precision:.0%} of the removed labels are wrong, against "
            f"{card.random.precision:.0%} [{card.random_low.precision:.0%}, {card.random_high.precision:.0%}] of as "
            f"many of each class at random (p = {card.p_random:.1g}; an oracle's figures)"
        )
    if result.p is not None and not result.in_sample:
        lines.append(_wrong_labels(rows, result.p, known))
    return lines


def _wrong_labels(rows: "Rows", p: "NDArray[np.float64]", known: "NDArray[np.bool_]") -> str:
    """How many labels are wrong, by rows whose truth is `known` (n,); what would tell, where that is none or all.

    A truth of every row is an experiment's, which the line about the removed labels has reported.
    """
    from ..noise import noise_model
    from ..noise.model import LEAST_AUDITED
    from ..ties import above_half

    auroc = "AUROC of the probe against the weak labels"
    known_of_class = [known[above_half(rows.y) == side].sum() for side in (False, True)]
    if rows.truth is not None and not known.all() and min(known_of_class) >= LEAST_AUDITED:
        audit = noise_model(rows.y, p, audited=(known, rows.truth[known]), groups=rows.groups)
        if audit.status == "ok":
            return (
                f"{audit.noise:.0%} of all labels are wrong if the {audit.audited} rows with `truth` were drawn at "
                f"random within each weak class ({auroc}: {audit.auroc.value:.2f}; an oracle's figures)"
            )
    noise = noise_model(rows.y, p, groups=rows.groups)
    if noise.status == "assumption not checked":
        text = "how many labels are wrong was not checked"
    else:
        text = f"how many labels are wrong cannot be told from this probe ({noise.status})"
    return f"{text}: audit about sixty rows, thirty of each weak class at random ({auroc}: {noise.auroc.value:.2f})"
