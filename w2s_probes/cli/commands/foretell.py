"""`w2s foretell`: whether weak labels are likely to help, before students are trained."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InputError
from .. import progress, terminal
from ..options import L2, By, K, LabelsPath, Layer, Seed, ShowProgress, StorePath
from ..probe_choice import ProbeChoice

if TYPE_CHECKING:
    import pandas as pd

    from ...foretelling import Forecast


def foretell(
    store: StorePath,
    labels: LabelsPath,
    layer: Layer,
    out: Annotated[Path, typer.Option(help="A table: .csv, .jsonl or .parquet, a line a measure.")],
    by: By = "logistic",
    k: K = None,
    l2: L2 = None,
    weak_store: Annotated[
        Path | None, typer.Option(help="The weak model's store: without it the kernels have no number.")
    ] = None,
    weak_layer: Annotated[str, typer.Option(help="Its layer: index, negative index, or `middle`.")] = "-1",
    trusted: Annotated[
        Path | None,
        typer.Option(
            help="A file with `id` and `truth` of rows that one has had labelled; else LABELS' truth: oracle."
        ),
    ] = None,
    draws: Annotated[int, typer.Option(min=0, help="Permutations by which chance is shown; each costs a probe.")] = 3,
    seed: Seed = 0,
    show: ShowProgress = "auto",
) -> None:
    """Say what is known, before a student is trained, of whether it will gain on its weak supervisor.

    Each measure stands beside its level of chance, and beside how well it has foretold gains in the study of
    docs/results.md: none does so well that it should be relied on. Measures that read the truth say so.

    Example: `w2s foretell acts weak.jsonl --layer 2 --out foretold.csv`
    """
    from ...io.files import refuse_input, refuse_no_file
    from ...io.tables import refuse_no_table, table_format, write_table
    from ...store.activation_store import ActivationStore
    from ..labelled_layer import LabelledLayer, probe_of, refuse_no_probe

    table_format(out)
    refuse_no_file(out)
    refuse_input(out, labels, trusted)
    if trusted is not None:
        refuse_no_table(trusted)
    choice = ProbeChoice.typed(layer, by, k, l2, {}, None, None)
    if "best" in (layer, by):
        raise InputError("--layer best and --by best take a sweep's choice: give a layer and a probe here")
    refuse_no_probe(by)
    below = None if weak_store is None else ActivationStore.open(weak_store)
    at = None if below is None else below.resolve(weak_layer)
    with progress.steps(show) as step:
        step(f"layer {layer} of {store}", 0, 4)
        rows = LabelledLayer.read(store, labels, layer, paired=choice.reads_pairs)
        # Only what has passed so far is worth the seconds that these take.
        from dataclasses import replace

        from ...foretelling import foretell as foretold
        from ...noise.audits import with_audit
        from ..answers_on_forecasts import ForetellAnswer

        truth = rows.truth
        if trusted is not None:
            truth = with_audit(rows.ids, None, trusted, rows.table["id"].to_numpy(dtype=object))
        done = iter(range(1, 4))
        found = foretold(
            rows.X,
            rows.y,
            probe=probe_of(by, choice.k, choice.l2, "strong", "exact"),
            weak_X=None if below is None or at is None else below.layer(at, ids=rows.ids),
            truth=truth,
            trusted=trusted is not None,
            groups=rows.groups,
            draws=draws,
            seed=seed,
            step=lambda what: step(what, next(done), 4),
        )
        notes = {"labels": labels, "store": store, "layer": rows.layer, "probe": by, "weak_store": weak_store}
        found = replace(found, notes=notes)
        write_table(found.to_frame(), out)
        step(f"{out} written", 4, 4)
    terminal.show(_shown(found), by="of", asked=True)
    from ...foretelling import track_record

    terminal.say(f"foretold here: Spearman's correlation with the student's gain in AUROC, over {track_record()}")
    if found.oracle:
        terminal.say("ORACLE: these read truth that a weak-to-strong experiment does not have, and may choose nothing")
    terminal.say(f"Written: {out}")
    terminal.answer_json(ForetellAnswer.of(found, out))


def _shown(found: "Forecast") -> "pd.DataFrame":
    """The table as printed: a line a measure."""
    import pandas as pd

    from ...foretelling import track_record

    record, lines = track_record(), []
    for one in found.measures:
        past, e = record.correlation(one.measure), one.estimate
        lines.append(
            {
                "of": f"{found.rows} rows, layer {found.notes['layer']}",
                "measure": one.measure,
                "value [95 %]": f"{e:.3f}"
                if one.is_known
                else "undefined"
                if one.n and one.needs != "no labels"
                else "not given",
                "by chance": f"{one.chance:.3f}" if one.draws else "",
                "needs": found.needs(one),
                "foretold here": "" if past is None else f"{past}, {past.n}",
            }
        )
    return pd.DataFrame(lines)
