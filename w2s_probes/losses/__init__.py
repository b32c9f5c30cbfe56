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
        confidence,
        entropy,
        entropy_detached,
        kl,
        logconf,
        logconf_batch,
        product,
        reverse_kl,
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
    "compute_loss",
    "confidence",
    "cross_entropy",
    "entropy",
    "entropy_detached",
    "explicit_conflict",
    "is_batched",
    "kl",
    "logconf",
    "logconf_batch",
    "product",
    "reverse_kl",
    "warm_up",
    "window",
    "xent",
]


__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "adaptconf": "functions",
        "by_dispersion": "functions",
        "confidence": "functions",
        "cross_entropy": "terms",
        "entropy": "functions",
        "entropy_detached": "functions",
        "kl": "functions",
        "logconf": "functions",
        "logconf_batch": "functions",
        "product": "functions",
        "reverse_kl": "functions",
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
