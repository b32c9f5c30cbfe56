"""Questions: rows with several candidate texts, of which one is drawn for the binary task."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from w2s_probes.randomness import seed_sequence
from w2s_probes.rows.ids import content_id

from .fields import Record, render

SEPARATOR = "\x1f"  # between parts that are hashed together


@dataclass(frozen=True)
class Question:
    """One right candidate text and the wrong ones. Neither their order in the source nor the row's place matters."""

    right: str
    wrong: tuple[str, ...]  # at least one, sorted
    group: str  # of the question: rows sharing it are related
    key: str  # what the question is, whatever the order of its candidates

    @property
    def id(self) -> str:
        """The question's name: a hash of its content."""
        return content_id(self.key)

    @property
    def candidates(self) -> tuple[tuple[str, int], ...]:
        """Every candidate text with 1 for the right one, in an order that does not tell which."""
        return tuple(sorted([(self.right, 1), *((text, 0) for text in self.wrong)]))

    def drawn(self) -> tuple[str, int]:
        """The candidate that stands for the question in the binary task, and its label.

        The right one or, with equal probability, one of the wrong ones, by a hash of the content: every seed and
        run gets the same row, so that activations can be shared.
        """
        coin, which = (int(word) for word in seed_sequence(0, "draw", self.key).generate_state(2, np.uint64))
        return (self.right, 1) if coin & 1 else (self.wrong[which % len(self.wrong)], 0)


def choice_question(template: str, record: Record, place: str, choices: list[str], right: int) -> Question | None:
    """A multiple-choice question; None where no choice differs from the right one."""
    wrong = sorted(set(choices) - {choices[right]})
    if not wrong:
        return None

    def text(choice: str) -> str:
        return render(template, record, place, {"choice": choice})

    stem = text("")
    key = SEPARATOR.join([stem, *sorted(set(choices))])
    return Question(text(choices[right]), tuple(sorted(map(text, wrong))), stem, key)


def pair_question(
    template: str, record: Record, place: str, better: str, worse: str, shared: str | None
) -> Question | None:
    """A pair of a better and a worse text; None where they are equal.

    A template with {choice} takes one of them, right where it is the better one; one with {first} and {second} takes
    both, right where the better one comes first. `shared` is the mark at whose last occurrence in their common
    beginning the two are cut: {shared} is what stands before it, the other placeholders hold the rest.
    """
    if better == worse:
        return None
    length = max(_common(better, worse).rfind(shared), 0) if shared is not None else 0
    beginning, rests = better[:length], (better[length:], worse[length:])

    def text(fields: Mapping[str, str]) -> str:
        return render(template, record, place, {"shared": beginning, **fields})

    if "{choice}" in template:
        right, wrong = (text({"choice": rest}) for rest in rests)
    else:
        right, wrong = (text({"first": a, "second": b}) for a, b in (rests, rests[::-1]))
    stem = text({"choice": "", "first": "", "second": ""})
    key = SEPARATOR.join([stem, *sorted((better, worse))])
    return Question(right, (wrong,), SEPARATOR.join([stem, beginning]) if beginning else key, key)


def _common(a: str, b: str) -> str:
    """The longest text that both begin with, by halving: comparing slices is far faster than characters in turn."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[:middle] == b[:middle] else (low, middle - 1)
    return a[:low]
