"""Long texts as people look at them: head and tail, what lies between counted, and the whole on a click."""

import re
from collections.abc import Sequence
from html import escape

import pandas as pd

HEAD, TAIL = 2, 1  # parts of what is shown that go to the beginning and to the end
WORDS = 60  # of a text that are shown at once
INLINE = "display:inline;margin:0"
BUTTON = "display:inline;cursor:pointer;white-space:nowrap;text-decoration:underline dotted"
BREAK = " ⏎ "  # stands for a line's end where a text has to stay in one line


def ends(count: int, most: int) -> tuple[int, int] | None:
    """The numbers of `count` pieces that go to head and tail where `most` are shown; None where all of them are.

    A middle of a few pieces is not worth a click, and is shown.
    """
    if count <= most + max(3, most // 10):
        return None
    tail = most * TAIL // (HEAD + TAIL)
    return most - tail, tail


def one_line(text: str) -> str:
    """The text with line ends, one or several together, as ⏎."""
    return re.sub(r"[ \t]*(?:[\r\n\v\f\x85\u2028\u2029][ \t]*)+", BREAK, text)


def words_of(text: str) -> list[str]:
    """The words, with the spaces that follow them."""
    return re.findall(r"\S+\s*|^\s+", text)


def brief(text: str, most: int) -> str:
    """The text in one line of about `most` characters: head and tail, and how many words lie between."""
    text = one_line(text)
    parted = ends(len(text), most)
    if parted is None:
        return text
    head, tail = text[: parted[0]], text[len(text) - parted[1] :]
    if " " in head.strip() and " " in tail.strip():
        head, tail = head[: head.rindex(" ")], tail[tail.index(" ") + 1 :]
    between = text[len(head) : len(text) - len(tail)]
    words = len(between.replace(BREAK.strip(), " ").split())
    return f"{head.rstrip()} … {count(words, 'word')} … {tail.lstrip()}"


def count(number: int, unit: str) -> str:
    """`1 word`, `2,345 words`."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def folded(pieces: Sequence[str], most: int, unit: str, *, styled: bool = True) -> str:
    """HTML of pieces (escaped already), of which those between head and tail are shown on a click.

    It brings its style along unless the page has a rule for `details.fold`, as one must that forbids inline styles.
    """
    parted = ends(len(pieces), most)
    if parted is None:
        return "".join(pieces)
    head, tail = parted
    between = pieces[head : len(pieces) - tail]
    inline, button = (f' style="{style}"' if styled else "" for style in (INLINE, BUTTON))
    return (
        f'{"".join(pieces[:head])}<details class="fold"{inline}><summary{button}>… {count(len(between), unit)} …'
        f"</summary>{''.join(between)}</details> {''.join(pieces[len(pieces) - tail :])}"
    )


def passage(text: str, most: int = WORDS, *, styled: bool = True) -> str:
    """HTML of a text, escaped: its first and last words, those between on a click, line ends as ⏎.

    It belongs into a block that is no `<p>`, which HTML would end before the part to click on.
    """
    return folded([escape(word) for word in words_of(one_line(text))], most, "word", styled=styled)


class TextTable(pd.DataFrame):
    """A DataFrame whose texts are read easily: in one line, on the left, head and tail, and whole on a click."""

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame  # what is computed from it is an ordinary table

    def __repr__(self) -> str:
        shown = pd.DataFrame(self)
        for name in self._texts():
            lines = [brief(str(text), 80) for text in self[name]]
            width = max([len(str(name)), *map(len, lines)])
            shown = shown.assign(**{str(name): [line.ljust(width) for line in lines]})
            shown = shown.rename(columns={name: str(name).ljust(width)})
        return str(shown.to_string(index=False, float_format="{:.3f}".format, max_colwidth=None))

    def _repr_html_(self) -> str:
        texts = self._texts()
        head = "".join(f'<th style="text-align:{self._side(name)}">{escape(str(name))}</th>' for name in self.columns)
        body = "".join(
            "<tr>"
            + "".join(
                f'<td style="text-align:{self._side(name)};vertical-align:top">'
                f"{passage(str(row[name]), WORDS // 2) if name in texts else escape(_shown(row[name]))}</td>"
                for name in self.columns
            )
            + "</tr>"
            for row in self.to_dict(orient="records")
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _texts(self) -> list[str]:
        return [name for name in self.columns if str(name).startswith("text")]

    def _side(self, name: str) -> str:
        return "right" if self[name].dtype.kind in "fiu" else "left"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
