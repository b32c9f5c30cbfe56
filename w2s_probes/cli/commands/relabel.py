"""`w2s relabel`: what a probe would say in place of the weak labels."""

from pathlib import Path
from typing import Annotated

import typer

from ...filtering.judges import CHANNEL
from ...progress import heard
from .. import progress, terminal
from ..options import (
    L2,
    Alpha,
    Audit,
    Connect,
    Device,
    From,
    Index,
    InSample,
    K,
    LabelsPath,
    Layer,
    MaxMemory,
    RelabelBy,
    Seed,
    ShowProgress,
    StorePath,
)
from ..other_judges import channel_of, of_channel, refuse_other_options
from ..probe_choice import JudgedFiles, ProbeChoice
from ..probe_options import with_probe_value


@with_probe_value
def relabel(
    store: StorePath,
    labels: LabelsPath,
    layer: Layer,
    out: Annotated[
        Path, typer.Option(help="Every input row with `new_label`, `score`, `p`, `fold`, `probe`, `layer`.")
    ],
    by: RelabelBy = "knn",
    k: K = None,
    l2: L2 = None,
    connectivity: Connect = None,
    alpha: Alpha = None,
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
    """Replace weak labels by a probe's P(label = 1), from a probe that did not learn the row it labels.

    `--by channel` gives the posterior under a noise channel: what a probe of other rows and the row's label say.

    Rows with `truth`, in LABELS or in an --audit of its own, say whether the new labels are better.

    Example: `w2s relabel acts weak.jsonl --layer 2 --by logistic --l2 0.01 --out relabeled.jsonl`
    """
    from ...io.tables import refuse_unwritable, write_table
    from ...labels.verdicts import relabelling_verdict
    from ..labelled_layer import STUDENTS_OF_PAIRS, LabelledLayer, probe_of

    files = JudgedFiles(store, labels, out, audit, sweep)
    choice = ProbeChoice.typed(layer, by, k, l2, values, connectivity, index, alpha, device).judging(files, (CHANNEL,))
    refuse_other_options(choice.by, in_sample=in_sample)
    with progress.steps(show) as step:
        step(f"layer {choice.layer} of {store}", 0, 3)
        rows = LabelledLayer.read(store, labels, choice.layer, paired=choice.reads_pairs)
        refuse_unwritable(rows.table, out)
        # Only what has passed so far is worth the seconds that these take.
        from ...labels.quality import label_change
        from ...relabeling import relabel as out_of_sample_scores
        from ..answers_on_labels import RelabelAnswer
        from ..findings import of_approximation, of_new_labels

        probe = None
        if choice.by != CHANNEL:
            probe = probe_of(choice.by, choice.k, choice.l2, connectivity or "strong", index or "exact", alpha, device)
        truth = rows.known_truth(audit)
        design = rows.audit_design(audit, truth)
        step("neighbours", 1, 3)
        with heard(step):
            graph = None if in_sample or probe is None else rows.graph(probe, in_sample)
        step("scores", 2, 3)
        said: list[str] = []
        if probe is None:
            channel = channel_of(rows, choice.l2, seed, device)
            p, said = channel.posterior, of_channel(channel)
        else:
            p = out_of_sample_scores(probe, rows.X, rows.y, in_sample, groups=rows.groups, seed=seed, graph=graph)
        verdict = relabelling_verdict(rows.y, p) | {"fold": rows.folds(probe, in_sample, seed)}
        findings = of_new_labels(rows.y, p, truth, rows.groups, labels, design)
        write_table(rows.judged(verdict, choice.named(in_sample, graph)), out)
        step(f"{out} written", 3, 3)
    how = " in-sample" if in_sample else ""
    remarks = [*choice.said(), *rows.read_as, *of_approximation(graph), *said]
    remarks.append(f"{len(p)} rows relabelled{how} by {choice.by} at layer {rows.layer}{findings[0]}")
    remarks += [*findings[1:], *rows.relabelled(labels, again=True)]
    for line in remarks:
        terminal.say(line)
    if rows.store.paired:
        terminal.say(STUDENTS_OF_PAIRS)
    else:
        words = ("w2s", "student", store, out, "--layer", rows.layer, "--out", out.parent / "student")
        terminal.next_command(*words, max_memory=max_memory)
    change = label_change(rows.y, p, truth, groups=rows.groups, design=design)
    terminal.answer_json(RelabelAnswer.of(rows, change, choice.named(in_sample, graph), out, in_sample, remarks))
