"""Which students are worth keeping whatever the supervisor's errors look like, choosing among them online, or by a few
true labels.

After PROTECTED (umd-huang-lab): a policy is a way to a student, an attacker a family of errors, and a payoff what a
student of labels with such errors is worth.
"""

from .gold_choice import GoldChoice, choose_by_gold
from .margin_games import margin, margins
from .online_learners import Exp3, Hedge, Uniform
from .payoffs import paired_errors
from .replaying import Replay, replay
from .undominated_sets import Discovery, Undominated, discover, pareto, undominated

__all__ = [
    "Discovery",
    "Exp3",
    "GoldChoice",
    "Hedge",
    "Replay",
    "Undominated",
    "Uniform",
    "choose_by_gold",
    "discover",
    "margin",
    "margins",
    "paired_errors",
    "pareto",
    "replay",
    "undominated",
]
