"""The names of methods that read gold rows: a use, and how many gold and weak rows there are of it."""

import re
from dataclasses import dataclass

GOLD = "gold-"  # and a use: a method that reads true labels of strong-train
SELECT = f"{GOLD}select-"  # and what gold rows choose
GOLD_ALONE = "control-gold-alone"  # these rows' true labels, and no weak one
WEAK_ALONE = "control-weak-alone"  # so many weak labels, and no true one
OF_WEAK = "control-gold-weak:"  # and the name of a use: the same by the weak labels of these rows
GOLD_ROWS, WEAK_ROWS = "gold_rows", "weak_rows"  # notes of an outcome

_SIZES = re.compile(r"(?P<base>[^:]+)(:(?P<first>[0-9]{1,9}))?(:(?P<second>[0-9]{1,9}))?")


@dataclass(frozen=True)
class GoldName:
    """A method's name, read.

    >>> GoldName.parse("gold-after:25:500")
    GoldName(base='gold-after', gold=25, weak=500, of_weak=False)
    >>> GoldName.parse("control-gold-weak:gold-after").of_weak, GoldName.parse("gate-entropy")
    (True, None)
    """

    base: str  # without sizes
    gold: int | None = None  # gold rows; None: as many as the recipe says
    weak: int | None = None  # rows with weak labels; None: all
    of_weak: bool = False  # whether it is the control that reads the weak labels of gold rows

    @classmethod
    def parse(cls, name: str) -> "GoldName | None":
        """The parts of a name; None of one that reads no gold rows."""
        rest = name.removeprefix(OF_WEAK)
        match = _SIZES.fullmatch(rest)
        if match is None or not match["base"].startswith((GOLD, GOLD_ALONE, WEAK_ALONE)):
            return None
        first, second = (None if match[part] is None else int(match[part]) for part in ("first", "second"))
        if match["base"] == WEAK_ALONE:
            return None if second is not None else cls(WEAK_ALONE, 0, first)
        return cls(match["base"], first, second, rest != name)

    @property
    def use(self) -> str:
        """The use in a word, for tables and lines of figures."""
        word = {GOLD_ALONE: "gold alone", WEAK_ALONE: "weak alone"}.get(self.base, self.base.removeprefix(GOLD))
        return f"{word} by weak labels" if self.of_weak else word


def gold_name(base: str, gold: int | None = None, weak: int | None = None) -> str:
    """The name of a use with so many rows.

    >>> gold_name("gold-append", 25), gold_name("gold-append", 25, 500), gold_name("control-weak-alone", weak=500)
    ('gold-append:25', 'gold-append:25:500', 'control-weak-alone:500')
    """
    sizes = [weak] if base == WEAK_ALONE else [gold, *([] if weak is None else [weak])]
    return ":".join([base, *(str(size) for size in sizes if size is not None)])


def gold_controls(name: str) -> tuple[str, ...]:
    """The names of the controls that stand beside a use of gold rows; none for any other name.

    >>> gold_controls("gold-after:25:500")
    ('control-gold-weak:gold-after:25:500', 'control-gold-alone:25')
    """
    parsed = GoldName.parse(name)
    if parsed is None or not name.startswith(GOLD):
        return ()
    alone = () if name.startswith(SELECT) else (gold_name(GOLD_ALONE, parsed.gold),)
    return (OF_WEAK + name, *alone)
