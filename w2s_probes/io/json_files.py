"""JSON of any origin: read whole, or refused in one line."""

import json
from pathlib import Path
from typing import Any

from ..errors import InputError, reason

DEPTH = 100  # levels: our own files have eight at most, and Python follows a thousand
LEAST, MOST = -(2**63), 2**64 - 1  # of whole numbers: beyond them NumPy and pandas raise, each in its own way


def read_json(path: Path, remedy: str = "make it again") -> Any:
    """The value in a JSON file; InputError, ending in the remedy, where it cannot be read or is no sound JSON.

    Refused like damage: nesting beyond DEPTH levels, whole numbers beyond 64 bits, and texts with half of a surrogate
    pair, unless it stands for a byte of a file's name.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise InputError(f"{path}: is no file: {remedy}")
    try:
        return parse_json(path.read_bytes(), str(path))
    except InputError as error:
        raise InputError(f"{error}: {remedy}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): {remedy}") from error


def parse_json(text: str | bytes, where: str) -> Any:
    """The same of a text; `where` names it in errors."""
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(text, parse_int=_whole)
        refuse_unreasonable(value)
        if "\\u" in text:  # Python reads half of a pair, which can be written nowhere
            json.dumps(value, ensure_ascii=False).encode(errors="surrogateescape")
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested beyond reason
        raise InputError(f"{where}: not valid JSON ({reason(error)})") from error
    return value


def refuse_unreasonable(value: Any) -> None:
    """ValueError for values nested too deep, or with whole numbers that no array can hold."""
    level, depth = [value], 0
    while level:
        if depth > DEPTH:
            raise ValueError(f"nested more than {DEPTH} levels deep")
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner += one.values()
            elif isinstance(one, list):
                inner += one
            elif isinstance(one, int) and not LEAST <= one <= MOST:
                raise ValueError("a whole number beyond 64 bits")
        level, depth = inner, depth + 1


def _whole(digits: str) -> int:
    if len(digits) > len(str(LEAST)):  # Python refuses to count thousands of digits, with advice on how to make it
        raise ValueError(f"a whole number of {len(digits.removeprefix('-'))} digits")
    return int(digits)
