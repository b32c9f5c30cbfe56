"""`w2s tokens`: which tokens carry a row's label, by an attention probe that learned rows' labels alone."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ...devices import refuse_no_device, refuse_no_name
from ...errors import InputError
from .. import progress, terminal
from ..options import FitDevice, LabelsPath, MaxMemory, Seed, ShowProgress


def tokens(
    store: Annotated[Path, typer.Argument(help="Activation store, from `w2s extract --position all`.")],
    labels: LabelsPath,
    layer: Annotated[str, typer.Option(help="One stored layer: index, negative index, or `middle`.")],
    out: Annotated[
        Path,
        typer.Option(
            help="A line a token: `id`, `position`, `token_id`, `attention`, `score`, `contribution`, `fold`."
        ),
    ],
    pool: Annotated[
        Literal["attention", "max", "mean"],
        typer.Option(help="How a row's tokens become its log-odds: by attention, the largest score, or all alike."),
    ] = "attention",
    hidden: Annotated[int, typer.Option(min=1, help="Units of the layer that attention is read from.")] = 64,
    heads: Annotated[int, typer.Option(min=1, help="Heads, whose log-odds add up.")] = 1,
    gated: Annotated[bool, typer.Option("--gated", help="Multiply the hidden layer by a sigmoid branch.")] = False,
    l2: Annotated[float, typer.Option(min=0, help="Penalty, on standardised activations.")] = 1e-3,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the rows.")] = 40,
    skip_first: Annotated[
        bool, typer.Option("--skip-first", help="Leave first tokens out, which are far off all others in many models.")
    ] = False,
    max_memory: MaxMemory = None,
    seed: Seed = 0,
    device: FitDevice = "cpu",
    show: ShowProgress = "auto",
) -> None:
    """Score every token by a probe that learned the rows' weak labels: score x attention adds up to the row's log-odds.

    Rows of split train are read by a probe that did not learn their fold, other rows of LABELS that the store holds by
    the probe of all. The same figure of the mean of the tokens, the control, is said beside. Attention is what the
    probe reads, and no proof that a label is so for that reason.

    Example: `w2s tokens acts-all weak.jsonl --layer middle --out tokens.jsonl`
    """
    import numpy as np

    from ...io.files import refuse_input, refuse_no_file
    from ...io.tables import table_format, write_table_parts
    from ...labels.label_file import LabelFile
    from ...rows.groups import groups_of
    from ...rows.ids import positions
    from ...store.activation_store import ActivationStore

    table_format(out)
    refuse_no_file(out)
    refuse_input(out, labels)
    refuse_no_name(device, "--device")
    refuse_no_device(device)
    with progress.steps(show) as step:
        step(f"labels of {labels}", 0, 3)
        opened = ActivationStore.open(store)
        index = opened.resolve(layer)
        file = LabelFile.read(labels)
        weak, training = file.weak, file.training
        if not training.any():
            raise InputError(f"{labels}: no row has split = train")
        stored = set(opened.ids)  # NumPy's isin compares each text with each
        rows = training | np.fromiter((name in stored for name in weak.ids), bool, len(training))
        positions(opened.ids, weak.ids[rows], str(store), of=str(labels))
        read = opened.stored_tokens(index, ids=weak.ids[rows])
        from ...probes.validation import soft_labels

        soft_labels(weak.p[training], int(training.sum()))  # refuses labels of one class before torch is loaded
        # Only what has passed so far is worth the seconds that these take.
        from ...probes.attention import AttentionProbe
        from ...token_scores import score_tokens
        from ..answers_on_tokens import TokensAnswer

        step(f"tokens of layer {index}", 1, 3)
        probe = AttentionProbe(hidden, l2, gated, epochs, skip_first, heads, pool, seed, device)
        groups = groups_of(file.frame[rows])
        scored = score_tokens(probe, read, weak.p[rows], learned=training[rows], groups=groups)
        step("tokens written", 2, 3)
        write_table_parts(scored.parts(), out, types={"fold": "Int64"})
        step(f"{out} written", 3, 3)
    absent = int((~rows).sum())
    remarks = [
        f"{len(read.token_ids)} tokens of {int(rows.sum())} rows at layer {index}, {training.sum()} of them learned"
    ]
    remarks += [f"{absent} rows of {labels}, none of them of split train, are not in {store}"] if absent else []
    remarks += scored.remarks
    for line in remarks:
        terminal.say(line)
    terminal.answer_json(
        TokensAnswer(
            store=str(store),
            labels=str(labels),
            layer=index,
            pool=pool,
            out=str(out),
            rows=int(rows.sum()),
            learned=int(training.sum()),
            tokens=len(read.token_ids),
            auroc=scored.attention,
            auroc_of_mean=scored.mean,
            remarks=remarks,
        )
    )
