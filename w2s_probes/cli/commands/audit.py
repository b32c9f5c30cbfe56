"""`w2s audit`: rows for people to answer, a page to answer them on, and what the answers say of the labels."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ...errors import InputError
from .. import progress, terminal
from ..audit_scores import AuditProbe
from ..options import ShowProgress

audit = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    suggest_commands=False,
    rich_markup_mode="markdown",
    help="How many labels are wrong, by people who answer some rows; not the audit of `w2s deception`.\n\n"
    "Example: `w2s audit draw acts weak.jsonl --layer 2 --n 200 --out audit.csv`",
)

AuditPath = Annotated[Path, typer.Argument(help="The audit, from `w2s audit draw`.")]
LayerOption = Annotated[str | None, typer.Option(help="The layer that the probe reads: index, negative, or `middle`.")]
ProbeOption = Annotated[str | None, typer.Option(help="The probe, as --by of `w2s filter`; knn unless said.")]
KOption = Annotated[int | None, typer.Option(min=1, help="Neighbours, of a probe that reads them.")]
L2Option = Annotated[float | None, typer.Option(min=0, help="Penalty, of a probe that reads one.")]


@audit.command("draw")
def draw(
    store_or_labels: Annotated[
        Path, typer.Argument(metavar="STORE", help="Activation store; left out where no probe takes part.")
    ],
    out: Annotated[Path, typer.Option(help="The audit: .csv, .jsonl, .parquet, or .json for Label Studio.")],
    labels_after_store: Annotated[
        Path | None, typer.Argument(metavar="LABELS", help="JSONL, CSV or Parquet with `id`, `label`, `text`.")
    ] = None,
    n: Annotated[int, typer.Option("--n", help="Rows to draw.")] = 200,
    by: Annotated[
        Literal["stratified", "disagreement", "uniform"],
        typer.Option(help="Weak class by probe's verdict; by the probe's doubt of the label; or every row as likely."),
    ] = "stratified",
    layer: LayerOption = None,
    probe: ProbeOption = None,
    k: KOption = None,
    l2: L2Option = None,
    bins: Annotated[int | None, typer.Option(min=1, help="Stratified: bins of doubt in place of the verdict.")] = None,
    rows: Annotated[list[Path], typer.Option(help="Row files with the texts, where LABELS has none.")] = [],  # noqa: B006
    names: Annotated[str | None, typer.Option(help="What the classes are called, class 0 first: no,yes.")] = None,
    show_labels: Annotated[
        bool, typer.Option("--show-labels", help="Show weak labels, to which answers are then drawn.")
    ] = False,
    file_format: Annotated[
        Literal["csv", "jsonl", "label-studio"] | None, typer.Option("--format", help="As the name of --out ends.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw, and of cross-fitting folds.")] = 0,
    show: ShowProgress = "auto",
) -> None:
    """Draw rows of known probability for people to answer; weak labels are not shown to them.

    With a STORE the probe's out-of-sample scores say where to look: rows that it doubts are likelier, and weigh less.
    Without, a stratified draw goes by weak class, and disagreement is refused.

    Example: `w2s audit draw acts weak.jsonl --layer 2 --n 200 --by stratified --out audit.csv`
    """
    store = None if labels_after_store is None else store_or_labels
    labels = labels_after_store or store_or_labels
    from ...auditing.audit_files import refuse_answered, refuse_no_audit_name
    from ...io.files import refuse_input, refuse_no_file
    from ...io.tables import refuse_no_table

    refuse_no_audit_name(out, file_format)
    refuse_no_file(out)
    refuse_answered(out)
    for path in (labels, *rows):
        refuse_no_table(path)
    refuse_input(out, labels, *rows)
    choice = AuditProbe.typed(layer, probe, k, l2)
    choice.refuse_store(store, by)
    if bins is not None and (by != "stratified" or store is None):
        raise InputError("--bins is for --by stratified with a STORE: leave it out")
    from ...labels.label_file import LabelFile
    from ...rows.sides import refuse_both_sides

    with progress.steps(show) as step:
        step(f"{labels}", 0, 3)
        file = LabelFile.read(labels)
        refuse_both_sides(file.weak.ids[file.training], file.where, "an audit", "")
        texts = _texts(rows)
        if n > (training := int(file.training.sum())):
            raise InputError(f"--n {n}: {labels} has {training} training rows: draw at most as many")
        step("scores", 1, 3)
        file, p, about = (file, None, None) if store is None or by == "uniform" else choice.scores(store, labels, seed)
        from ...auditing import draw_audit, write_audit
        from ...auditing.audit_draw import few_of_a_class
        from ...auditing.audit_files import STUDIO, labeling_config

        drawn = draw_audit(
            file,
            n=n,
            by=by,
            p=p,
            bins=bins,
            seed=seed,
            names=None if names is None else names.split(","),
            show_labels=show_labels,
            texts=texts,
            scored_by=about,
        )
        write_audit(drawn, out)
        step(f"{out} written", 3, 3)
    remarks = [_of_draw(by, store, len(drawn.table), int(drawn.design["rows"]))]
    if (few := few_of_a_class(file, drawn)) is not None:
        remarks.append(few)
    if "text" not in drawn.table:
        remarks.append("the rows have no text here: give them by --rows, or look them up by id")
    if show_labels:
        remarks.append("weak labels are shown: answers are drawn to what a person sees")
    if out.suffix == STUDIO:
        remarks.append(f"labeling config: {labeling_config(drawn)}")
    for line in remarks:
        terminal.say(line)
    if "text" in drawn.table and out.suffix != STUDIO:
        terminal.next_command("w2s", "audit", "page", out, "--out", out.with_suffix(".html"))
    from ..answers_on_auditing import AuditAnswer

    terminal.answer_json(AuditAnswer.of_draw(drawn, labels, store, out, remarks))


@audit.command("page")
def page(
    path: AuditPath,
    out: Annotated[Path, typer.Option(help="The page, an HTML file.")],
    question: Annotated[str, typer.Option(help="What is asked of each text.")] = "Which class is this text of?",
    saves: Annotated[str, typer.Option(help="Name of the CSV that the page saves.")] = "audit_done.csv",
) -> None:
    """Write one HTML file on which to answer an audit by keyboard, without server and network.

    Keys 0 and 1 answer, u undoes, arrows move, s saves a CSV for `w2s audit fold`. Answers stay in the browser when the
    page is closed. Weak labels are not in it.

    Example: `w2s audit page audit.csv --out audit.html`
    """
    from ...auditing.page import refuse_no_page_name, write_audit_page
    from ...io.files import refuse_input, refuse_no_file

    refuse_no_page_name(out)
    refuse_no_file(out)
    refuse_input(out, path)
    if not saves.endswith(".csv") or "/" in saves or "\\" in saves:
        raise InputError(f"--saves {saves}: a file's name that ends in .csv")
    from ...auditing.audit_files import read_audit_rows
    from ..answers_on_auditing import AuditAnswer

    rows = read_audit_rows(path)
    write_audit_page(rows, out, question=question, saved=saves)
    terminal.say(f"{out}: {len(rows.table)} rows to answer; it saves {saves}, for `w2s audit fold`")
    terminal.answer_json(AuditAnswer.of_page(path, out, len(rows.table), saves))


@audit.command("fold")
def fold(
    path: Annotated[
        Path, typer.Argument(metavar="AUDIT", help="The answered audit: CSV, JSONL, Parquet or Label Studio's JSON.")
    ],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="The labels that it was drawn from.")],
    store: Annotated[
        Path | None, typer.Argument(metavar="STORE", help="Activation store, whose probe may make estimates tighter.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The audited rows as a label file with `truth`, for --audit of filter and relabel."),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Fold the first rows of the drawn order where the rest has no answer.")
    ] = False,
    layer: LayerOption = None,
    probe: ProbeOption = None,
    k: KOption = None,
    l2: L2Option = None,
    show: ShowProgress = "auto",
) -> None:
    """Say how many labels are wrong by an answered audit, each row by the probability with which it was drawn.

    Refused are audits that are not the one drawn: other ids, probabilities or labels, missing and doubled rows. The
    probe is the draw's own unless said. How many labels are wrong does not say that dropping as many helps.

    Example: `w2s audit fold audit_done.csv weak.jsonl acts --out audited.jsonl`
    """
    from ...io.files import refuse_input, refuse_no_file
    from ...io.tables import refuse_no_table, table_format, write_table

    refuse_no_table(labels)
    if out is not None:
        table_format(out)
        refuse_no_file(out)
        refuse_input(out, path, labels)
    choice = AuditProbe(layer, probe, k, l2)
    if store is None and choice.said:
        raise InputError(f"{choice.said[0]} is of a probe: give the STORE that it reads, or leave it out")
    if probe is not None:
        choice.refuse_value(probe)
    from ...auditing.audit_files import read_audit_rows
    from ...labels.label_file import LabelFile

    with progress.steps(show) as step:
        step(f"{path}", 0, 3)
        rows = read_audit_rows(path)
        answers = rows.answers
        file, p = LabelFile.read(labels), None
        if store is not None:
            step("scores", 1, 3)
            file, p, _ = choice.of_design(rows.design).scores(store, labels, int(rows.design["seed"]))
        from ...auditing import fold_audit
        from ..answers_on_auditing import AuditAnswer
        from ..audit_findings import of_fold

        found = fold_audit(rows, file, p=p, partial=partial)
        if out is not None:
            write_table(found.table, out)
        step("folded", 3, 3)
    remarks = of_fold(found, len(answers))
    for line in remarks:
        terminal.answer(line)
    if out is not None:
        terminal.say(f"Written: {out}, for --audit of `w2s filter` and `w2s relabel`")
    terminal.answer_json(AuditAnswer.of_fold(found, path, labels, store, out, remarks))


def _texts(files: list[Path]) -> dict[str, str] | None:
    """The texts of row files by id; None without files."""
    if not files:
        return None
    from ...io.tables import read_table
    from ...rows.ids import with_ids

    found: dict[str, str] = {}
    for path in files:
        table = with_ids(read_table(path), str(path))
        if "text" not in table:
            raise InputError(f"{path}: no field 'text'")
        found |= dict(zip(table["id"].tolist(), table["text"].tolist(), strict=True))
    return found


def _of_draw(by: str, store: Path | None, n: int, rows: int) -> str:
    """How the rows were drawn, in a sentence."""
    how = {
        "uniform": "every row as likely",
        "disagreement": "likelier where the probe doubts the label, at most twice as heavy as in a uniform draw",
        "stratified": "by weak class and the probe's opinion" if store is not None else "by weak class",
    }[by]
    return f"{n} of {rows} rows drawn, {how}; weights are in the file"
