"""The names of indexes: exact, a torch device, approximate, or a faiss factory string, with the recall asked."""

import re
from dataclasses import dataclass

from ..devices import KINDS
from ..errors import InputError, nearest

EXACT, APPROXIMATE = "exact", "approximate"
LEAST_RECALL = 0.98  # share of the true neighbours that an approximate index must find, unless its name says less
RECALL = re.compile(r"(?P<name>.*):recall=(?P<recall>[^:]*)")


@dataclass(frozen=True)
class IndexName:
    """A name, and of an approximate index the least share of true neighbours: `approximate:recall=0.9`.

    >>> IndexName.parse("IVF64,Flat:recall=0.9")
    IndexName(name='IVF64,Flat', least_recall=0.9)
    """

    name: str
    least_recall: float = LEAST_RECALL

    @classmethod
    def parse(cls, text: str) -> "IndexName":
        """The name as users write it.

        InputError for a recall that is no share, or of an index that is exact, and for a name that is misspelt.
        """
        found = RECALL.fullmatch(text)
        if found is None:
            _refuse_misspelt(text)
            return cls(text)
        _refuse_misspelt(found["name"])
        try:
            share = float(found["recall"])
        except ValueError:
            share = float("nan")
        if not 0 <= share <= 1:
            raise InputError(f"index={text!r}: a recall is a number from 0 to 1, such as {found['name']}:recall=0.9")
        name = cls(found["name"], share)
        if name.is_exact:
            raise InputError(f"index={text!r}: {name.name} misses no neighbour: leave :recall out")
        return name

    @property
    def is_exact(self) -> bool:
        """Whether it finds every neighbour."""
        return self.name == EXACT or self.is_device

    @property
    def is_device(self) -> bool:
        """Whether it is the name of a torch device."""
        return self.name.partition(":")[0] in KINDS


def _refuse_misspelt(text: str) -> None:
    """InputError for what is nearly one of our names; what is like none of them is faiss's to read."""
    word, colon, rest = text.partition(":")
    if word.lower() in KINDS:
        if word != word.lower():
            raise InputError(f"index={text!r}: did you mean '{word.lower()}{colon}{rest}'?")
        return
    asked = f":recall={rest.partition('=')[2] or '0.9'}" if colon else ""
    if rest.lower().startswith("rec") and not RECALL.fullmatch(text) and word.lower() != APPROXIMATE:
        raise InputError(f"index={text!r}: did you mean '{word}{asked}'?")
    near = nearest(word.lower(), (EXACT, APPROXIMATE))
    if near and (word != near or (colon and near == APPROXIMATE)):
        raise InputError(f"index={text!r}: did you mean '{near}{asked if near == APPROXIMATE else ''}'?")
