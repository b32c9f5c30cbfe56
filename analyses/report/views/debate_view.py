"""Debates: what supervisors reach that read one thing or another, and rows with their transcripts side by side."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from extract.debating import Transcript

from ...recipe.debate_settings import BASE, CHANGES, DEBATE_CONTROL, OWN_KEPT
from ...results.names import WEAK, parse_trial_key
from ..drawing.cells import Column, Table, TableCell, estimate, number, words
from ..load.argued_rows import SHOWN, ArguedRow
from ..load.folder import FinishedRun
from .answer import over_seeds
from .differences import difference
from .more_metrics import value_cell

SIGNED = "+.3f"
DRAWN = ("debate", "consultancy")  # protocols whose sides are drawn, and so as often right as wrong
MEANS = {  # what is changed by each control
    "none": "no transcripts: the rows alone",
    "single": "one member",
    "shared": "one transcript, read by all",
    "shuffled": "transcripts of other rows",
    "consultancy": "one side argues",
    "market-making": "argues against the naive opinion",
    "no-sides": "as many words without sides",
    "weak": "the weak model argues",
    "transcript": "transcripts without their rows, by members that count words",
}


@dataclass(frozen=True)
class ShownTurn:
    """A turn of the members, side by side: each has one cell a speaker."""

    name: str
    cells: list[str]


@dataclass(frozen=True)
class ShownRow:
    """A row with what was argued about it."""

    title: str
    text: str
    members: list[tuple[str, int]]  # name, and number of speakers
    sides: list[str]  # a column each
    turns: list[ShownTurn]


@dataclass(frozen=True)
class DebateView:
    """What a run says of its debates."""

    lines: list[str]
    protocols: Table
    held: Table
    drawn: str  # how the rows were that are shown
    rows: list[ShownRow]


def debate_view(run: FinishedRun) -> DebateView | None:
    """The debates of a run; None where there were none."""
    made = [(*parse_trial_key(key), one["debate"]) for key, one in run.record["runs"].items() if one.get("debate")]
    if not made:
        return None
    seed = run.argued[0].seed if run.argued else 0
    drawn = (
        f"At most {SHOWN} test rows of each task, drawn at random by seed {seed}; no row was chosen for what it says."
    )
    return DebateView(_lines(run, made), _protocols(run), _held(made), drawn, [_shown(row, made) for row in run.argued])


def _lines(run: FinishedRun, made: list[tuple[str, int, dict[str, Any]]]) -> list[str]:
    there = set(run.results["method"])
    told = ["Only supervisors read transcripts: students, ceilings and probes read the rows alone."]
    unnamed = sorted({task for task, _, one in made if not one["named_by_task"]})
    if unnamed:
        told.append(
            f"Labels were called no and yes, since the task does not name them (label_names): {', '.join(unnamed)}."
        )
    lacking = [f"{DEBATE_CONTROL}{name}" for name in ("no-sides", "shuffled", "transcript")]
    lacking = [name for name in lacking if name not in there]
    if lacking:
        told.append(
            f"Run without {', '.join(lacking)}, a gain does not say whether it is the argument, more text, or a label "
            "given away."
        )
    return told


def _protocols(run: FinishedRun) -> Table:
    """A line for each task and supervisor."""
    columns = [
        Column("task", False),
        Column("supervisor", False),
        Column("what its members read", False),
        Column("trusted", about="true labels of weak-train that its members learn from"),
        Column("AUROC [95 %]", about="of the members' mean on the test rows"),
        Column("accuracy [95 %]"),
        Column("− without transcripts [95 %]", about="paired on the same test rows, and over seeds"),
        Column("− the run's own [95 %]", about="likewise"),
    ]
    rows = []
    for task, part in run.results.groupby("task", sort=False):
        by = {(one["method"], one["metric"]): one for one in over_seeds(part).to_dict(orient="records")}
        for name in [WEAK, *(f"{DEBATE_CONTROL}{control}" for control in CHANGES)]:
            if (name, "auroc") not in by:
                continue
            own = by[name, "auroc"]
            trusted = run.record["recipe"]["weak"].get("n_truth") if name == WEAK else own.get("trusted")
            rows.append(
                [
                    words(task),
                    words(name, "" if name == WEAK else "control"),
                    words(_read(run, str(task), name)),
                    number(trusted, ",.0f"),
                    value_cell(own),
                    value_cell(by.get((name, "accuracy"), {})),
                    *(_difference(run, str(task), name, other) for other in (BASE, WEAK)),
                ]
            )
    return Table("Supervisors under each protocol and control, by task", columns, rows)


def _read(run: FinishedRun, task: str, name: str) -> str:
    """What the members of a supervisor read; of shuffled transcripts also how many rows have their own."""
    records = [one for key, one in run.record["runs"].items() if parse_trial_key(key)[0] == task]
    told = [one.get("debate") if name == WEAK else one.get("methods", {}).get(name) for one in records]
    kept = [int(one[OWN_KEPT]) for one in told if one and OWN_KEPT in one]
    read = "transcripts and rows: the run's own" if name == WEAK else MEANS[name.removeprefix(DEBATE_CONTROL)]
    return f"{read}; {sum(kept):,} rows have their own" if kept else read


def _difference(run: FinishedRun, task: str, name: str, other: str) -> TableCell:
    found = None if name == other else difference(run.predictions.get(task, {}), name, other)
    if found is None:
        return number(None)
    return estimate(found.estimate.value, found.estimate.low, found.estimate.high, SIGNED)


def _held(made: list[tuple[str, int, dict[str, Any]]]) -> Table:
    drawn = any(one["protocol"] in DRAWN for _, _, one in made)
    for_truth = f"share of rows whose A argues for the true label{': ½ ± 2 SE by chance' if drawn else ''}"
    columns = [
        Column("task", False),
        Column("seed"),
        Column("protocol", False),
        Column("members"),
        Column("rows"),
        Column("turns"),
        Column("tokens", about="generated; none of people and APIs"),
        Column("turns cut", about="ended by max_new_tokens"),
        Column("turns empty"),
        Column("transcript", about="mean tokens that it adds to a row's text; words where members count words"),
        Column("of these read", about="the rest is beyond a member's window"),
        Column("transcripts cut"),
        Column("A for the truth (oracle)", about=for_truth),
    ]
    rows = [
        [
            words(task),
            number(seed, ".0f"),
            words(one["protocol"]),
            number(one["members"], ".0f"),
            number(one["rows"], ",.0f"),
            number(one["turns"], ",.0f"),
            number(one.get("tokens"), ",.0f"),
            number(one["turns_cut"] / max(1, one["turns"]), ".1%"),
            number(one["turns_empty"], ",.0f"),
            number(one["transcript_tokens"], ".1f"),
            number(one["kept_tokens"], ".1f"),
            number(one["transcripts_cut"], ".1%"),
            _for_truth(one),
        ]
        for task, seed, one in made
    ]
    return Table("What was argued", columns, rows)


def _for_truth(one: dict[str, Any]) -> TableCell:
    """The share, and two standard errors of one that is a coin's."""
    share, n = one.get("a_for_truth"), one.get("a_rows", 0)
    if share is None or not n:
        return number(None)
    by_chance = f" (½ ± {1 / n**0.5:.1%})" if one["protocol"] in DRAWN else ""
    return TableCell(f"{share:.1%}{by_chance}", float(share), "oracle")


def _shown(row: ArguedRow, made: list[tuple[str, int, dict[str, Any]]]) -> ShownRow:
    names = next((one["names"] for task, seed, one in made if (task, seed) == (row.task, row.seed)), ["0", "1"])
    spread = "" if row.sd is None else f" ± {row.sd:.2f} (sd of members)"
    truth = "" if row.truth is None else f"; true label {names[int(row.truth > 0.5)]} (oracle)"
    title = f"{row.task}, seed {row.seed}, row {row.id}: P({names[1]}) {row.label:.2f}{spread}{truth}"
    speakers = [list(dict.fromkeys(turn.speaker for turn in one.turns)) for one in row.transcripts]
    members = [(f"member {one.member}", len(own)) for one, own in zip(row.transcripts, speakers, strict=True)]
    sides = [_side(one, speaker, names) for one, own in zip(row.transcripts, speakers, strict=True) for speaker in own]
    longest = max(len(one.turns) for one in row.transcripts)
    both = list(zip(row.transcripts, speakers, strict=True))
    turns = [
        ShownTurn(f"turn {turn + 1}", [text for one, own in both for text in _cells(one, own, turn)])
        for turn in range(longest)
    ]
    return ShownRow(title, row.text, members, sides, turns)


def _side(one: Transcript, speaker: str, names: list[str]) -> str:
    side = one.sides.get(speaker)
    return speaker if side is None else f"{speaker}: {names[side]}"


def _cells(one: Transcript, speakers: list[str], number: int) -> Iterator[str]:
    """What each speaker said in a turn: one of them something, the others nothing."""
    turn = one.turns[number] if number < len(one.turns) else None
    for speaker in speakers:
        yield turn.text if turn is not None and turn.speaker == speaker else ""
