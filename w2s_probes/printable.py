"""Users' text, mostly names, made fit for terminals: invisible characters are escaped, endless words are cut."""

import re
from collections.abc import Iterable

# Control characters, which a terminal obeys; marks that turn the direction of what follows; line separators; and
# halves of surrogate pairs, which is how Python holds those bytes of a file's name that are no UTF-8.
UNSEEN = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
LONGEST_WORD, LONGEST_LINE = 400, 1600  # characters: the longest paths in use, and some screens' lines


def visible(text: str) -> str:
    r"""The text with control characters as escapes (`\x1b`), and bytes that are no UTF-8, too (`\xff`).

    Tabs stay, and so does every letter of every alphabet; a line end in a name would begin a line of its own.
    """
    return UNSEEN.sub(lambda match: _escape(match[0]), text)


def as_utf8(name: str) -> str:
    r"""A file's name as tables and pages can hold it: bytes that are no UTF-8 are written out (`\xff`)."""
    return re.sub("[\ud800-\udfff]", lambda match: _escape(match[0]), name)


def one_line(text: str) -> str:
    """A message in one visible line; endless words and endless messages are cut to their two ends."""
    return _ends(" ".join(_ends(visible(word), LONGEST_WORD) for word in text.split()), LONGEST_LINE)


def _ends(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def listed(names: Iterable[str]) -> str:
    """Names as a sentence lists them.

    >>> listed(["knn"]), listed(["knn", "topo"]), listed(["knn", "topo", "graph"])
    ('knn', 'knn and topo', 'knn, topo and graph')
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
