"""The page: one self-contained HTML file that may fetch nothing."""

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from w2s_probes.errors import InputError
from w2s_probes.io.files import replacing
from w2s_probes.labels.class_mix import ClassRows
from w2s_probes.printable import as_utf8

from ..passages import passage
from .drawing.cells import Column, Table, TableCell, narrowed, number, p_value, shown, words
from .load.folder import Contents, read_folder
from .place import report_place
from .views.altered import altered_lines
from .views.cards import MIX_IN_RUN, MIX_REMEDY, Card, cards, first_seeds, random_ends, without_removal
from .views.robust import robust_view
from .views.runs import run_view
from .views.steering import steering_view
from .views.students import students_view
from .views.sweeps import sweep_view

TEMPLATE = Path(__file__).parent / "template"
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")  # no HTML may hold these


def write_report(
    folder: Path | str, out: Path | str | None = None, *, warn: Callable[[str], None] = lambda line: None
) -> Path:
    """Write the report on a folder, `report.html` in it unless `out` says another place; return its path.

    Files that are not as a run or a sweep wrote them are named where they are shown, and to `warn`. The same folder
    gives the same bytes. InputError where nothing can be reported, a file is damaged, or `out` is no name of an HTML
    file; nothing is written then.
    """
    folder = Path(folder)
    out = report_place(folder, out)
    try:
        contents = read_folder(folder)
        content = as_utf8(page(contents)).encode()
    except InputError as error:
        message = " ".join(str(error).split())
        if str(folder) in message:
            raise
        raise InputError(f"{folder}: {message}") from error
    with replacing(out) as temporary:
        temporary.write_bytes(content)
    for kind, every in (("run", contents.runs), ("sweep", contents.sweeps)):
        for one in every:
            place = Path(one.name) if kind == "run" else Path(one.name).parent
            for line in altered_lines(one.altered, kind):
                warn(f"{folder / place}: {line}")
    for tried in contents.robust:
        for line in altered_lines(tried.altered, "robust"):
            warn(f"{folder / tried.name}: {line}")
    for steered in contents.steered:
        for line in altered_lines(steered.altered, "steering"):
            warn(f"{folder / Path(steered.name).parent}: {line}")
    for student in contents.students:
        for line in altered_lines(student.altered, "student"):
            warn(f"{folder}: student {student.name}: {line}")
    return out


def page(contents: Contents) -> str:
    """The report as HTML."""
    style, script = ((TEMPLATE / name).read_text(encoding="utf-8").strip() for name in ("style.css", "script.js"))
    runs = [run_view(run, f"r{i}") for i, run in enumerate(contents.runs)]
    sweeps = [sweep_view(sweep, f"s{i}") for i, sweep in enumerate(contents.sweeps)]
    robust = [robust_view(one, f"u{i}") for i, one in enumerate(contents.robust)]
    steered = [steering_view(one, f"t{i}") for i, one in enumerate(contents.steered)]
    students = students_view(contents.students, "students")
    given, unremoved = cards(contents.filtered), without_removal(contents.filtered)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printable"] = lambda text: UNPRINTABLE.sub("\ufffd", text)
    environment.filters["passage"] = lambda text: Markup(passage(text, styled=False))
    environment.filters["probability"] = lambda value: "–" if value is None else shown(value, ".2f")
    environment.globals["altered"] = altered_lines
    html = environment.get_template("page.html").render(
        name=contents.name,
        runs=runs,
        sweeps=sweeps,
        students=students,
        robust=robust,
        steered=steered,
        given=given,
        unremoved=unremoved,
        removals=[*(line for card in given for line in (card.sentence, card.mix_sentence)), *unremoved],
        unfinished=contents.unfinished,
        card_table=card_table,
        class_table=class_table,
        first_seeds=first_seeds,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )
    return UNPRINTABLE.sub("\ufffd", html)


def card_table(made: list[Card]) -> Table | None:
    """A line for each filter whose truth is known, beside random and confidence-only removals of its size."""
    judged = [(card, card.judged) for card in made if card.judged is not None]
    if not judged:
        return None
    of_run = any(card.task for card, _ in judged)
    partly = any(card.of_known for card, _ in judged)
    columns = [
        *((Column("task", False), Column("seed")) if of_run else ()),
        Column("filter", False),
        Column("removed", about="in all; overshoot are rows beyond those asked for"),
        *((Column("truth known of", False, "the figures that follow are of these rows alone"),) if partly else ()),
        Column("wrong of removed", about="share of the removed labels that are wrong: precision"),
        Column("at random [95 %]", about="the same of removing as many rows of each class at random"),
        Column("p random", about="one-sided: a random removal finds as many wrong labels"),
        Column("by confidence", about="the same of removing the rows with the least sure weak labels"),
        Column("p confidence", about="two-sided sign test against it"),
        Column("best possible", about="as many rows, wrong labels first"),
        Column("wrong labels found", about="share of all wrong labels that are removed: recall"),
        Column("accuracy of the labels kept", about="and of all labels before"),
    ]
    rows = []
    for card, found in judged:
        low, high = random_ends(found)
        over = f", overshoot {card.overshoot:,}" if card.overshoot else ""
        random = TableCell(f"{found.random.precision:.0%} [{low:.0%}, {high:.0%}]", found.random.precision)
        rows.append(
            [
                *((words(card.task), number(card.seed, ".0f")) if of_run else ()),
                words(card.name, "" if of_run else "file"),
                TableCell(f"{card.removed:,} ({card.removed / card.n:.0%}){over}", float(card.removed)),
                *((words(card.of_known or "all", "file"),) if partly else ()),
                number(found.filter.precision, ".0%"),
                random,
                p_value(found.p_random),
                number(found.confidence.precision, ".0%"),
                p_value(found.p_confidence),
                number(found.oracle.precision, ".0%"),
                number(found.filter.recall, ".0%"),
                TableCell(
                    f"{found.filter.accuracy_kept:.1%} (all {1 - found.base_rate:.1%})", found.filter.accuracy_kept
                ),
            ]
        )
    caption = "Filter report cards, by the truth (an oracle's figures: nothing was chosen by them)"
    return narrowed(caption, columns, rows, [1] if of_run else [])


def class_table(made: list[Card]) -> Table | None:
    """The rows of each class that each filter removes, whether the truth is known or not."""
    if not made:
        return None
    of_run = any(card.task for card in made)
    remedy = (MIX_IN_RUN if of_run else MIX_REMEDY).rstrip(".")
    columns = [
        *((Column("task", False), Column("seed")) if of_run else ()),
        Column("filter", False),
        Column("rows of label 1", about="by the weak label: above one half, or not"),
        Column("of these removed"),
        Column("rows of label 0"),
        Column("of these removed"),
        Column("label 1 before"),
        Column("label 1 after", about="of the rows kept, by the label that they are taught with"),
        Column("mix", False, f"moves: one class loses over 5 points more of its rows than the other. {remedy}"),
    ]
    rows = []
    for card in made:
        mix = card.mix
        counts = [cell for one in (mix.one, mix.zero) for cell in (number(one.before, ",.0f"), _dropped(one))]
        rows.append(
            [
                *((words(card.task), number(card.seed, ".0f")) if of_run else ()),
                words(card.name, "" if of_run else "file"),
                *counts,
                number(mix.before, ".1%"),
                number(mix.after, ".1%"),
                words("moves" if mix.moves else "stays", "unstable" if mix.moves else ""),
            ]
        )
    return narrowed("Rows of each class before and after the filters", columns, rows, [1] if of_run else [])


def _dropped(rows: ClassRows) -> TableCell:
    return TableCell(f"{rows.dropped:,} ({rows.share:.0%})", rows.share) if rows.before else number(None)


def _hash(content: str) -> str:
    """The hash by which the content security policy allows the one script, or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


__all__: list[Any] = ["page", "write_report"]
