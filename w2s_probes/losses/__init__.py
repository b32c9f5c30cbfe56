"""Losses for learning from a weak supervisor: pure functions, their state in training, and their use in a Trainer.

Importing this package is light; each name below loads torch when it is first asked for (`compute_loss` and
`TrainerLoss` transformers too), but for `LossName` and `LOSS_NAMES`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .names import LOSS_NAMES, LossName

if TYPE_CHECKING:
    from .functions import (
        LOSSES,
        adaptconf,
        confidence,
        cross_entropy,
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
    from .trainer import TrainerLoss, compute_loss

__all__ = [
    "LOSSES",
    "LOSS_NAMES",
    "LossName",
    "Objective",
    "RecentPredictions",
    "TrainerLoss",
    "adaptconf",
    "compute_loss",
    "confidence",
    "cross_entropy",
    "entropy",
    "entropy_detached",
    "kl",
    "logconf",
    "logconf_batch",
    "product",
    "reverse_kl",
    "warm_up",
    "window",
    "xent",
]

_MODULE_OF = {
    "Objective": "objective",
    "warm_up": "objective",
    "RecentPredictions": "recent",
    "TrainerLoss": "trainer",
    "compute_loss": "trainer",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULE_OF.get(name, 'functions')}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
