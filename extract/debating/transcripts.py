"""Transcripts: what was argued about a row, turn by turn; by models, people or APIs, read from files and written."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2s_probes.errors import InputError, did_you_mean, preview, reason
from w2s_probes.io.files import replacing
from w2s_probes.io.json_lines import json_line, read_json_lines
from w2s_probes.io.plain_values import as_text, is_missing

from .protocols import PROTOCOLS, SPEAKERS, Protocol, speaker_of

ENDINGS = (".jsonl", ".jsonl.gz")
MOST_EMPTY = 0.05  # of all turns


@dataclass(frozen=True)
class Turn:
    """What one speaker said."""

    speaker: str
    side: int | None  # the label argued for; None without sides
    text: str
    tokens: int | None = None  # generated; None where nobody counted, as of people and APIs
    cut: bool = False  # ended by the limit of tokens

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said."""
        return not self.text.strip()


@dataclass(frozen=True)
class Transcript:
    """One member's turns about one row."""

    id: str  # the row's
    member: int  # from 0; each has transcripts of its own sampling
    protocol: str
    sides: Mapping[str, int]  # the label that each speaker argues for; empty without sides
    turns: tuple[Turn, ...]
    key: str = field(default="", compare=False)  # of all that decides the text; empty of people and APIs

    @property
    def a_side(self) -> int | None:
        """The label that A argues for; None without sides."""
        return self.sides.get(SPEAKERS[0])

    @property
    def tokens(self) -> int | None:
        """Tokens generated over all turns; None where a turn was not counted."""
        counts = [turn.tokens for turn in self.turns]
        return None if None in counts else sum(count for count in counts if count is not None)

    def record(self) -> dict[str, Any]:
        """The transcript as a line of its file."""
        turns = [
            {"speaker": turn.speaker, "side": turn.side, "text": turn.text, "tokens": turn.tokens, "cut": turn.cut}
            for turn in self.turns
        ]
        line = {"id": self.id, "member": self.member, "protocol": self.protocol, "sides": dict(self.sides)}
        return line | {"turns": turns, "key": self.key}


def write_transcripts(transcripts: Iterable[Transcript], path: Path | str) -> None:
    """Write a file of transcripts, a line each, whole or not at all; gzipped where its name ends so."""
    import gzip

    path = Path(path)
    refuse_ending(path)
    text = "".join(json_line(transcript.record()) for transcript in transcripts).encode()
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


def read_transcripts(
    path: Path | str, ids: Sequence[str], *, members: int | None = None, protocol: str | None = None
) -> list[Transcript]:
    """Every member's transcripts of the rows `ids`: members in turn, in each the rows in this order.

    `members` is the number of members that are read, 0 to members - 1; all in the file unless given. A line needs
    `id` and `turns`, a list of objects with `text`; `member` is 0 unless it is there, `protocol` that asked for, the
    speakers those of the protocol. Lines of other rows and of further members are passed over. InputError for rows or
    members that the file lacks, another protocol, debates of one speaker, and empty turns, if over 5 % of all are.
    """
    path = Path(path)
    found: dict[tuple[int, str], Transcript] = {}
    for transcript in _lines(path, protocol):
        place = (transcript.member, transcript.id)
        if place in found:
            raise InputError(f"{path}: member {place[0]} has two transcripts of row {place[1]!r}: leave one out")
        found[place] = transcript
    there = {row for _, row in found}
    if lacking := [row for row in ids if row not in there]:
        none = " (none of them match: are these of other rows?)" if len(lacking) == len(ids) else ""
        raise InputError(f"{path} has no transcript of {len(lacking)} of {len(ids)} rows: {preview(lacking)}{none}")
    wanted = set(ids)
    count = members if members is not None else 1 + max((member for member, row in found if row in wanted), default=-1)
    for member in range(count):
        if lacking := [row for row in ids if (member, row) not in found]:
            raise InputError(
                f"{path}: member {member} has no transcript of {len(lacking)} of {len(ids)} rows: "
                f"{preview(lacking)}: members are counted from 0: give each of {count} every row, or ask for fewer"
            )
    chosen = [found[member, row] for member in range(count) for row in ids]
    refuse_empty(chosen, str(path))
    _refuse_one_sided(chosen, path)
    return chosen


def refuse_empty(transcripts: Sequence[Transcript], where: str) -> int:
    """The number of turns in which nothing was said; InputError, by the first ids, if that is over 5 % of all."""
    empty = [transcript.id for transcript in transcripts for turn in transcript.turns if turn.is_empty]
    total = sum(len(transcript.turns) for transcript in transcripts)
    if len(empty) > MOST_EMPTY * total:
        raise InputError(
            f"{where}: {len(empty)} of {total} turns are empty, more than {MOST_EMPTY:.0%}: rows "
            f"{preview(list(dict.fromkeys(empty)))}: does the prompt let the model say anything?"
        )
    return len(empty)


def _refuse_one_sided(transcripts: Sequence[Transcript], path: Path) -> None:
    """InputError for debates in which one alone speaks."""
    held = [one for one in transcripts if one.protocol == "debate"]
    short = [one.id for one in held if len({turn.speaker for turn in one.turns}) < len(SPEAKERS)]
    if short:
        raise InputError(
            f"{path}: in {len(short)} of {len(held)} debates, fewer than two speak: rows "
            f"{preview(list(dict.fromkeys(short)))}: give turns of both sides, or say that it is a consultancy"
        )


def refuse_ending(path: Path) -> None:
    """InputError for a name that is none of a file of transcripts."""
    if not path.name.endswith(ENDINGS):
        raise InputError(f"{path}: transcripts are a file of JSON lines; the name must end in {' or '.join(ENDINGS)}")


def _lines(path: Path, protocol: str | None) -> list[Transcript]:
    refuse_ending(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        records = read_json_lines(path).to_dict("records")
    except InputError:
        raise
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a readable file of JSON lines ({reason(error)})") from error
    if not records:
        raise InputError(f"{path}: holds no transcripts")
    return [_transcript(record, protocol, f"{path}, transcript {n}") for n, record in enumerate(records, start=1)]


def _transcript(record: dict[Any, Any], protocol: str | None, where: str) -> Transcript:
    values = {name: None if is_missing(value) else value for name, value in record.items()}
    if values.get("id") is None or values["id"] == "":
        raise InputError(f"{where}: no id")
    row = as_text(values["id"], f"{where}: its id")
    where = f"{where} of row {row!r}"
    member = 0 if values.get("member") is None else values["member"]
    if type(member) is not int or member < 0:
        raise InputError(f"{where}: member {member!r}: give a whole number from 0")
    spoken = _protocol(values.get("protocol"), protocol, where)
    sides = {} if values.get("sides") is None else values["sides"]
    if not isinstance(sides, dict) or not all(_is_label(side) for side in sides.values()):
        raise InputError(f"{where}: sides {str(sides)[:60]}: give each speaker the label argued for, 0 or 1")
    turns = values.get("turns")
    if not isinstance(turns, list) or not turns:
        raise InputError(f"{where}: no turns: give a list of objects with `text`")
    read = tuple(
        _turn(turn, speaker_of(spoken, n), sides, f"{where}, turn {n}") for n, turn in enumerate(turns, start=1)
    )
    if not sides:
        sides = {turn.speaker: turn.side for turn in read if turn.side is not None}
    return Transcript(row, member, spoken, sides, read, str(values.get("key") or ""))


def _protocol(named: Any, wanted: str | None, where: str) -> Protocol:
    spoken = named if named is not None else wanted or PROTOCOLS[0]
    if spoken not in PROTOCOLS:
        raise InputError(f"{where}: protocol {spoken!r}: {did_you_mean(str(spoken), PROTOCOLS)}")
    if wanted is not None and spoken != wanted:
        raise InputError(f"{where}: its protocol is {spoken}, and {wanted} was asked for: give transcripts of that")
    known: Protocol = spoken
    return known


def _turn(turn: Any, speaker: str, sides: Mapping[str, int], where: str) -> Turn:
    if not isinstance(turn, dict) or not isinstance(turn.get("text"), str):
        raise InputError(f"{where}: an object with `text` was expected, not {str(turn)[:60]}")
    speaker = turn["speaker"] if turn.get("speaker") is not None else speaker
    if not isinstance(speaker, str):
        raise InputError(f"{where}: speaker {str(speaker)[:60]}: give a name")
    side = turn["side"] if turn.get("side") is not None else sides.get(speaker)
    tokens, cut = turn.get("tokens"), turn.get("cut")
    if side is not None and not _is_label(side):
        raise InputError(f"{where}: side {str(side)[:60]!r}: give the label argued for, 0 or 1, or null")
    if side != sides.get(speaker, side):
        raise InputError(f"{where}: {speaker} argues for {side} here, and for {sides[speaker]} by `sides`")
    if tokens is not None and (type(tokens) is not int or tokens < 0):
        raise InputError(f"{where}: tokens {str(tokens)[:60]!r}: give a count, or null where nobody counted")
    if cut is not None and not isinstance(cut, bool):
        raise InputError(f"{where}: cut {str(cut)[:60]!r}: give true, false or null")
    return Turn(speaker, side, turn["text"], tokens, bool(cut))


def _is_label(value: Any) -> bool:
    return type(value) is int and value in (0, 1)
