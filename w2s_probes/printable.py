"""Text of others, names above all, made fit for terminals, pages and files: what cannot be seen is written out."""

import re

# Control characters (a terminal obeys them), marks that turn the direction of what follows, line separators, and
# halves of surrogate pairs, which is how Python holds the bytes of a file's name that are no UTF-8.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""The text with control characters as escapes (`\x1b`); line ends and tabs stay, and so does every letter."""
    return UNSEEN.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
