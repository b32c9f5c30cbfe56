"""The names of the losses, without loading torch."""

from typing import Literal, get_args

LossName = Literal[
    "xent",
    "logconf",
    "logconf-batch",
    "entropy",
    "entropy-detached",
    "window",
    "kl",
    "reverse_kl",
    "product",
    "adaptconf",
    "confidence",
    "dispersion",
]

LOSS_NAMES: tuple[LossName, ...] = get_args(LossName)
