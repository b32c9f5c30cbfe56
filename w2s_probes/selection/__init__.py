"""Which students are worth keeping whatever the supervisor's errors look like, and choosing among them online.

After PROTECTED (umd-huang-lab): a policy is a way to a student, an attacker a family of errors, and a payoff what a
student of labels with such errors is worth.
"""

from .margin_games import margin, margins
from .online_learners import Exp3, Hedge, Uniform
from .payoffs import paired_errors
from .replaying import Replay, replay
from .undominated_sets import Discovery, Undominated, discover, pareto, undominated

__all__ = [
    "Discovery",
    "Exp3",
    "Hedge",
    "Replay",
    "Undominated",
    "Uniform",
    "discover",
    "margin",
    "margins",
    "paired_errors",
    "pareto",
    "replay",
    "undominated",
]
