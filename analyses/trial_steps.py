"""The steps of a trial: pieces of its work, each with a line in the results."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .experiment.outcomes import Outcome
from .experiment.view import Experiment
from .lessons.engine import Steps
from .lessons.lesson import Lesson


@dataclass(frozen=True)
class Step:
    """One piece of a trial's work, whose result is a line in the results."""

    name: str  # ceiling, or a method's
    kind: str  # of its result in the cache
    describe: Callable[[], dict[str, Any]]  # all that decides the result: its key in the cache
    run: Callable[[], Steps[Outcome]]  # reads what the cache has, asks for the rest, and puts the result there
    assemble: Callable[[], Steps[Outcome]] | None = None  # of lessons alone, not from the cache; None: of nothing less

    @cached_property
    def description(self) -> dict[str, Any]:
        """All that decides the result: its key in the cache."""
        return self.describe()


def ceiling(experiment: Experiment, lesson: Lesson) -> Steps[Outcome]:
    """The ceiling's scores."""
    (trained,) = yield [lesson]
    return experiment.outcome(trained, val=lesson.stop.p)
