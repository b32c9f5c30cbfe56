"""Protocols: who speaks when, and for which label; from a row's id alone, never from its label."""

from collections.abc import Mapping, Sequence
from typing import Literal

from w2s_probes.errors import InputError, did_you_mean, preview
from w2s_probes.io.plain_values import refuse_no_utf8
from w2s_probes.randomness import stream

Protocol = Literal["debate", "consultancy", "market-making", "no-sides"]
PROTOCOLS: tuple[Protocol, ...] = ("debate", "consultancy", "market-making", "no-sides")
SPEAKERS = ("A", "B")
NAMES = ("no", "yes")  # of labels 0 and 1, unless others are given


def a_argues_for(row: str, seed: int = 0) -> int:
    """The label that A argues for in a debate about a row, 0 or 1, by its id.

    >>> [a_argues_for(f"a{i}") for i in range(1, 9)]
    [1, 0, 1, 0, 0, 1, 0, 0]
    """
    return int(stream(seed, "debate", "side", row).random() < 0.5)


def sides_of(protocol: Protocol, row: str, *, seed: int = 0, naive: float | None = None) -> dict[str, int]:
    """The label that each speaker argues for; empty without sides.

    In a consultancy A alone speaks, for the side drawn. In market-making A alone speaks, for the label that a naive
    model does not choose, whose P(1) is `naive` (½ chooses 0).

    >>> sides_of("debate", "a1"), sides_of("consultancy", "a2"), sides_of("no-sides", "a1")
    ({'A': 1, 'B': 0}, {'A': 0}, {})
    >>> sides_of("market-making", "a1", naive=0.8)
    {'A': 0}
    """
    if protocol == "no-sides":
        return {}
    if protocol == "market-making":
        assert naive is not None
        return {"A": int(naive <= 0.5)}
    side = a_argues_for(row, seed)
    return {"A": side} if protocol == "consultancy" else {"A": side, "B": 1 - side}


def speaker_of(protocol: Protocol, turn: int) -> str:
    """Who speaks in a turn, from 1: A and B by turns; where one side alone is argued, always A.

    >>> [speaker_of("debate", turn) for turn in (1, 2, 3)], speaker_of("consultancy", 2)
    (['A', 'B', 'A'], 'A')
    """
    return "A" if protocol in ("consultancy", "market-making") else SPEAKERS[(turn - 1) % 2]


def refuse_protocol(named: str, turns: int, members: int) -> Protocol:
    """The protocol of this name; InputError for another, and for too few turns or members."""
    if named not in PROTOCOLS:
        raise InputError(f"protocol {named!r}: {did_you_mean(named, PROTOCOLS)}")
    if turns < 1:
        raise InputError(f"turns={turns}: at least 1 is needed")
    if named == "debate" and turns < len(SPEAKERS):
        raise InputError(f"turns={turns}: a debate needs at least 2, one of each side; or give protocol consultancy")
    if members < 1:
        raise InputError(f"members={members}: at least 1 is needed")
    known: Protocol = named
    return known


def refuse_equal_members(temperature: float, members: int) -> None:
    """InputError for several members where nothing is drawn: their transcripts would be one and the same."""
    if temperature == 0 and members > 1:
        raise InputError(f"temperature=0 gives all {members} members the same transcripts: give one member, or draw")


def refuse_names(names: Sequence[str]) -> None:
    """InputError unless these are two different names of labels."""
    refuse_no_utf8(",".join(names), "names")
    if len(names) != 2 or not all(name.strip() for name in names) or names[0].strip() == names[1].strip():
        raise InputError(f"names {','.join(names)[:60]!r}: give two, those of labels 0 and 1, such as no,yes")


def parse_names(named: str) -> tuple[str, str]:
    """The names of labels 0 and 1 from `no,yes`; InputError unless these are two different ones.

    >>> parse_names("incorrect, correct")
    ('incorrect', 'correct')
    """
    names = [name.strip() for name in named.split(",")]
    refuse_names(names)
    return names[0], names[1]


def naive_beliefs(protocol: Protocol, ids: Sequence[str], naive: Mapping[str, float] | None) -> Mapping[str, float]:
    """P(1) by id of the naive model that market-making argues against; empty for other protocols."""
    if protocol != "market-making":
        if naive is not None:
            raise InputError(f"naive labels are what market-making argues against, and the protocol is {protocol}")
        return {}
    if naive is None:
        raise InputError("market-making argues against a naive model: give its labels, P(1) of each row (--naive)")
    if lacking := [row for row in ids if row not in naive]:
        raise InputError(f"the naive labels have none of {len(lacking)} of {len(ids)} rows: {preview(lacking)}")
    for row in ids:
        if not 0 <= naive[row] <= 1:
            raise InputError(f"the naive label of row {row!r} is {naive[row]}: P(1) is from 0 to 1")
    return naive
