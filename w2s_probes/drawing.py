"""Users' texts in figures, unchanged and no longer than a title. Draw them with `parse_math=False`.

Otherwise matplotlib reads the text between two dollar signs as a formula, and raises where it is none.
"""

from functools import lru_cache

from .errors import shortened
from .printable import visible

TITLE = 100  # characters that a figure's width has room for


def drawable(text: str, most: int = TITLE) -> str:
    """The text as the figures' font can draw it: control characters written out, `?` for letters that it lacks."""
    from matplotlib import rcParams

    known = _letters(tuple(rcParams["font.family"]))
    return "".join(letter if ord(letter) in known else "?" for letter in shortened(visible(text), most))


@lru_cache(maxsize=8)
def _letters(families: tuple[str, ...]) -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    fonts = [get_font(findfont(FontProperties(family=[family]))) for family in families]
    return frozenset(code for font in fonts for code in font.get_charmap())
