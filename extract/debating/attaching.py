"""A row with its transcript as one text: the row first and whole, the transcript cut from its end to a window."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .transcripts import Transcript

BETWEEN = "\n\n"  # row and transcript
WORD_ENDS = re.compile(r"\S+")


@dataclass(frozen=True)
class Attached:
    """A text for a model that reads transcripts, and its counts, in its tokens (in words without a tokenizer)."""

    text: str
    row_tokens: int  # of the row alone
    transcript_tokens: int  # that the whole transcript would add
    kept_tokens: int  # of these that are in the text

    @property
    def cut(self) -> bool:
        """Whether some of the transcript was left out."""
        return self.kept_tokens < self.transcript_tokens


def written(transcript: Transcript, names: Sequence[str] | None = None) -> str:
    """The turns as text, a paragraph each: the speaker, the name of the label argued for if given, what was said.

    A turn in which nothing was said is left out.
    """
    lines = []
    for turn in transcript.turns:
        if not turn.is_empty:
            side = f" ({names[turn.side]})" if names is not None and turn.side is not None else ""
            lines.append(f"{turn.speaker}{side}: {turn.text.strip()}")
    return "\n".join(lines)


def attach(
    text: str,
    transcript: Transcript,
    tokenizer: Any = None,
    window: int | None = None,
    *,
    names: Sequence[str] | None = None,
) -> Attached:
    """The row's text followed by its transcript, which loses words at its end until all fits into `window` tokens.

    Special tokens count. `names` are those of labels 0 and 1, written beside the speakers. Without a tokenizer words
    are counted; without a window nothing is cut. A row longer than the window stays whole, and alone.
    """

    def count(words: str) -> int:
        if tokenizer is None:
            return len(words.split())
        return len(tokenizer(words, verbose=False)["input_ids"])

    said = written(transcript, names)
    whole = text + BETWEEN + said if said else text
    row, total = count(text), count(whole)
    if window is None or total <= window:
        return Attached(whole, row, total - row, total - row)
    # The most words that fit.
    ends = [len(text) + len(BETWEEN) + match.end() for match in WORD_ENDS.finditer(said)]
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(whole[: ends[middle - 1]]) <= window else (low, middle - 1)
    kept = whole[: ends[low - 1]] if low else text
    return Attached(kept, row, total - row, count(kept) - row)
