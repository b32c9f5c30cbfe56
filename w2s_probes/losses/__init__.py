"""Losses for learning from a weak supervisor: pure functions, their state in training, and their use in a Trainer.

Importing this package is light; each name below loads torch when it is first asked for (`compute_loss` and
`TrainerLoss` transformers too), but for `LOSSES`, `LossName` and `LOSS_NAMES`, whose functions do when looked up.
"""

from typing import TYPE_CHECKING

from ..lazy_face import lazy_face
from .names import LOSS_NAMES, LOSSES, LossName

if TYPE_CHECKING:
    from .batched import is_batched
    from .conflict import ExplicitConflict, explicit_conflict
    from .functions import (
        adaptconf,
        by_dispersion,
        chi_squared,
        confidence,
        entropy,
        entropy_detached,
        hellinger,
        jensen_shannon,
        kl,
        logconf,
        logconf_batch,
        product,
        reverse_kl,
        total_variation,
        window,
        xent,
    )
    from .objective import Objective, warm_up
    from .recent import RecentPredictions
    from .terms import cross_entropy
    from .trainer import TrainerLoss, compute_loss

__all__ = [
    "LOSSES",
    "LOSS_NAMES",
    "ExplicitConflict",
    "LossName",
    "Objective",
    "RecentPredictions",
    "TrainerLoss",
    "adaptconf",
    "by_dispersion",
    "chi_squared",
    "compute_loss",
    "confidence",
    "cross_entropy",
    "entropy",
    "entropy_detached",
    "explicit_conflict",
    "hellinger",
    "is_batched",
    "jensen_shannon",
    "kl",
    "logconf",
    "logconf_batch",
    "product",
    "reverse_kl",
    "total_variation",
    "warm_up",
    "window",
    "xent",
]


__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "adaptconf": "functions",
        "by_dispersion": "functions",
        "chi_squared": "functions",
        "confidence": "functions",
        "cross_entropy": "terms",
        "entropy": "functions",
        "entropy_detached": "functions",
        "hellinger": "functions",
        "jensen_shannon": "functions",
        "kl": "functions",
        "logconf": "functions",
        "logconf_batch": "functions",
        "product": "functions",
        "reverse_kl": "functions",
        "total_variation": "functions",
        "window": "functions",
        "xent": "functions",
        "ExplicitConflict": "conflict",
        "explicit_conflict": "conflict",
        "is_batched": "batched",
        "Objective": "objective",
        "warm_up": "objective",
        "RecentPredictions": "recent",
        "TrainerLoss": "trainer",
        "compute_loss": "trainer",
    },
)
