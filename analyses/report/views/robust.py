"""The section of students that were tried on every family of supervisor errors, and of the choice among them."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from w2s_probes.metrics.paired_scores import METRIC_NAMES

from ...robustness.certainty import errors_in_words
from ...robustness.robust_files import EVERY_TASK, HELD_OUT_ROWS, TEST_ROWS
from ..drawing.cells import Column, Table, TableCell, estimate, narrowed, number, words
from ..drawing.figures import Bar, Figure, FigureLine, forest, lines
from ..load.robust_tables import TriedStudents

SIGNED = "+.4f"
DRAWN = ("hedge", "exp3", "exp3 as published", "best mean", "uniform")  # learners, in this order, in figures
ATTACKED = (
    "An attack is a family of supervisor errors at a rate of wrong labels, on rows of weak-train; rows held out of it "
    "judge by their truth."
)
UNREAD = "No test row was read: nothing was chosen by the truth of test rows."
DESCRIBED = "Test rows were judged, too: lines marked as an oracle's describe, and chose nothing."


@dataclass(frozen=True)
class RobustView:
    """The content of a section."""

    key: str
    name: str
    headline: str
    facts: list[str]
    students: Table
    payoffs: Table
    greedy: Table
    controls: Table
    replays: Table
    figures: list[Figure]
    left_out: list[str]
    altered: dict[str, str]


def robust_view(one: TriedStudents, key: str) -> RobustView:
    """Build the section."""
    return RobustView(
        key,
        one.name,
        _headline(one),
        _facts(one),
        _students(one.students),
        _payoffs(one.payoff, _metric(one)),
        _greedy(one.greedy),
        _controls(one.controls),
        _replays(one.replays),
        [_margins(one, key), *_curves(one, key)],
        [f"Left out: {name}: {why}" for name, why in one.record.get("left_out", {}).items()],
        one.altered,
    )


def _metric(one: TriedStudents) -> str:
    return METRIC_NAMES[one.record["recipe"]["robustness"]["metric"]]


def _last_task(table: pd.DataFrame) -> pd.DataFrame:
    """The lines of the mean over tasks, or of the only task."""
    last: pd.DataFrame = table[table["task"] == table["task"].iloc[-1]]
    return last


def _headline(one: TriedStudents) -> str:
    """Sentences on how many students stand out, and which one is best on average and in the worst case."""
    of = _last_task(one.students)
    kept = of["student"][of["undominated"]].tolist()
    mean, worst = (str(of["student"].iloc[int(of[name].to_numpy().argmax())]) for name in ("mean", "worst"))
    stand = f"{len(kept)} of {len(of)} students" if kept else f"None of {len(of)} students"
    does = "stands" if len(kept) <= 1 else "stand"
    listed = f" ({', '.join(kept)})" if kept else ""
    best = (
        f"{mean} has the best mean and the best worst case"
        if mean == worst
        else (f"{mean} has the best mean, {worst} the best worst case")
    )
    return f"{stand} {does} out under some mixture of errors by more than its error{listed}; {best}."


def _facts(one: TriedStudents) -> list[str]:
    settings, seeds = one.record["recipe"]["robustness"], one.record["recipe"]["seeds"]
    rule = errors_in_words(len(seeds)) if settings.get("delta") is None else f"{settings['delta']:g}"
    described = (one.payoff["judged"] == TEST_ROWS).any()
    facts = [
        ATTACKED,
        DESCRIBED if described else UNREAD,
        f"A student is kept where its margin over every mixture of the others is above {rule}.",
    ]
    permuted = one.controls[one.controls["control"].str.contains("permuted")]
    if len(permuted):
        facts.append(f"With the judging labels permuted: {_last_task(permuted)['student'].iloc[0]}; it should be none.")
    if len(seeds) == 1:
        facts.append("One seed tells nothing of the luck of a training: errors are of the judging rows alone.")
    trusted = one.students["trusted"].max()
    facts.append(f"The truth of {trusted:,.0f} weak-train rows was read over all seeds and tasks, each counted once.")
    return facts


def _students(table: pd.DataFrame) -> Table:
    columns = [
        Column("task", False),
        Column("student", False),
        Column("mean", about="over attacks"),
        Column("worst", about="under the attack that is worst for it"),
        Column("worst at", False),
        Column("margin", about="over every mixture of the others, at the attacks that show it best; with its interval"),
        Column("kept", False),
        Column("best at", False, "the mixture of attacks at which it stands out most"),
        Column("by a single one", False, "not dominated: no single other student is as good under every attack"),
        Column("found", about="place on the greedy path"),
    ]
    rows = [
        [
            words(line["task"]),
            words(line["student"], _mark(line)),
            number(line["mean"]),
            number(line["worst"]),
            words(line["worst_at"]),
            estimate(line["margin"], line["low"], line["high"], SIGNED),
            words("kept" if line["undominated"] else "", "ok" if line["undominated"] else ""),
            words(line["best_at"]),
            words("not dominated" if line["pareto"] else "dominated"),
            number(line["found"], ".0f"),
        ]
        for line in table.to_dict(orient="records")
    ]
    return narrowed("Students beside every mixture of the others", columns, rows, [0])


def _payoffs(table: pd.DataFrame, metric: str) -> Table:
    """A column for each attack; means over seeds, or the only seed."""
    held = table[table["judged"] == HELD_OUT_ROWS]
    over = held[held["seed"].isna()] if held["seed"].isna().any() else held
    over = over.assign(attack=[_attack(one, rate) for one, rate in zip(over["family"], over["rate"], strict=True)])
    attacks = list(dict.fromkeys(over["attack"]))
    rows = []
    for (task, student), part in over.groupby(["task", "student"], sort=False):
        by = {line["attack"]: line for line in part.to_dict(orient="records")}
        cells = [_cell(by.get(attack)) for attack in attacks]
        rows.append([words(task), words(student, _mark(next(iter(by.values())))), *cells])
    columns = [Column("task", False), Column("student", False), *(Column(f"{name} [95 %]") for name in attacks)]
    return narrowed(f"Payoffs: {metric} on rows held out, by attack", columns, rows, [0])


def _attack(family: object, rate: float) -> str:
    return str(family) if pd.isna(rate) else f"{family}@{rate:g}"


def _cell(line: dict[object, object] | None) -> TableCell:
    return words("") if line is None else estimate(line["value"], line["low"], line["high"])


def _mark(line: dict[object, object]) -> str:
    return "oracle" if line["oracle"] else ""


def _greedy(table: pd.DataFrame) -> Table:
    columns = [
        Column("task", False),
        Column("step"),
        Column("student", False),
        Column("gain", about="over every mixture of those before; of the first none"),
        Column("its error", about="paired"),
        Column("at", False),
        Column("taken", False, "no: the gain that came nearest is not sure enough"),
    ]
    rows = [
        [
            words(line["task"]),
            number(line["step"], ".0f"),
            words(line["student"], _mark(line)),
            number(line["gain"], SIGNED),
            number(line["error"], ".4f"),
            words(line["at"]),
            words("yes" if line["taken"] else "no"),
        ]
        for line in table.to_dict(orient="records")
    ]
    return narrowed("Students found one after the other", columns, rows, [0])


def _controls(table: pd.DataFrame) -> Table:
    columns = [
        Column("task", False),
        Column("choice", False),
        Column("students", False),
        Column("judged on", False),
        Column("mean", about="over attacks"),
        Column("worst", about="attack"),
    ]
    rows = [
        [
            words(line["task"]),
            words(line["control"], _mark(line)),
            words(line["student"]),
            words(line["judged"], _mark(line)),
            number(line["mean"], mark=_mark(line)),
            number(line["worst"], mark=_mark(line)),
        ]
        for line in table.to_dict(orient="records")
    ]
    return narrowed("What each way to choose gets; oracles know the attack, or read test rows", columns, rows, [0, 3])


def _replays(table: pd.DataFrame) -> Table:
    columns = [
        Column("schedule", False, "which attack is on in which round"),
        Column("learner", False),
        Column("reward", about="mean accuracy on audited rows"),
        Column("regret", about="to the student that is best in hindsight; below 0 it was beaten by switching"),
        Column("least"),
        Column("most"),
        Column("bound", about="of the expected regret, where one is known"),
        Column("audits", about="drawn with replacement: a row may be audited again"),
    ]
    rows = [
        [
            words(line["schedule"]),
            words(line["learner"], _mark(line)),
            number(line["reward"], mark=_mark(line)),
            *(number(line[name], ".1f", _mark(line)) for name in ("regret", "low", "high", "bound")),
            number(line["trusted"], ",.0f"),
        ]
        for line in table.to_dict(orient="records")
    ]
    return Table("Replays: students chosen round by round", columns, rows)


def _margins(one: TriedStudents, key: str) -> Figure:
    of = _last_task(one.students)
    bars = [
        Bar(line["student"], line["margin"], line["low"], line["high"], "oracle" if line["oracle"] else "method")
        for line in of.to_dict(orient="records")
    ]
    task = str(of["task"].iloc[0])
    where = "mean over tasks" if task == EVERY_TASK else task
    axis = f"margin in {_metric(one)}"
    return forest(f"{key}-margins", f"Margin over every mixture of the others ({where})", axis, bars, spec=SIGNED)


def _curves(one: TriedStudents, key: str) -> Iterator[Figure]:
    for at, (schedule, part) in enumerate(one.curves.groupby("schedule", sort=False)):
        known = [name for name in DRAWN if name in set(part["learner"])]
        drawn = []
        for style, name in enumerate(known):
            curve = part[part["learner"] == name]
            drawn.append(FigureLine(name, list(curve["round"]), list(curve["regret"]), style=style))
        if not drawn:
            continue
        bounds = one.replays[(one.replays["schedule"] == schedule) & (one.replays["learner"] == "hedge")]["bound"]
        known_bound = bounds.dropna()
        bound = None if known_bound.empty else float(known_bound.iloc[0])
        title = f"Regret, {schedule}" + ("" if bound is None else f" (line: Hedge's bound, {bound:.0f})")
        yield lines(f"{key}-{at}", title, "round", "regret to the best student", drawn, reference=bound)
