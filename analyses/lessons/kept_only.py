"""A look at what is kept: a clock and a teacher under which nothing is made."""

from collections.abc import Iterable
from typing import NoReturn

from .clock import Clock
from .engine import Answers
from .lesson import Lesson
from .teaching import Taught


class NotKept(Exception):  # no error: the answer to a question
    """Something would have to be trained, searched, probed or extracted."""


class StoppedClock(Clock):
    """A clock under which nothing may be made: what is not kept ends the look at a stage."""

    def timer(self, kind: str) -> NoReturn:
        """Refuse to time a making."""
        raise NotKept(kind)


class KeptLessons:
    """Answers lessons from the cache alone: where it lacks one, the look at a stage ends."""

    def __init__(self) -> None:
        self._answers: Answers = {}

    def ask(self, lessons: Iterable[Lesson]) -> None:
        """Look lessons up; NotKept for one that the cache lacks."""
        for lesson in lessons:
            if (kept := lesson.kept()) is None:
                raise NotKept(lesson.key)
            self._answers[lesson.key] = Taught(kept)

    def answers(self) -> Answers:
        """Every result that has been asked for."""
        return self._answers
