"""What `w2s robust` finds: payoffs, choices, controls and replays."""

from dataclasses import dataclass
from typing import Any

from ..recipe.schema import Recipe
from .attacked_trials import AttackedStudents
from .choosing import Choice
from .measured_payoffs import TaskPayoffs
from .replays import PlayedLearner


@dataclass(frozen=True)
class RobustResult:
    """What `w2s robust` finds."""

    recipe: Recipe
    payoffs: list[TaskPayoffs]  # of each task; on the recipe's test rows, too, where that was asked for
    choices: list[Choice]  # of each task and, where there are several, of their mean
    controls: list[dict[str, Any]]
    played: list[PlayedLearner]
    arms: list[str]  # the students that replays choose among
    left_out: dict[str, str]  # students that some attack leaves without a result, with the reason
    oracles: frozenset[str]  # students that read the truth
    runs: list[AttackedStudents]

    @property
    def choice(self) -> Choice:
        """The choice over all tasks, or that of the only one."""
        return self.choices[-1]
