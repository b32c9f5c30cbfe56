"""The losses by name, each of which loads torch when it is asked for; the names come without it."""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

from ..errors import InputError, did_you_mean
from ..registries import Registry

if TYPE_CHECKING:
    from torch import Tensor

LossName = str  # a name in LOSSES
SETTINGS = ("alpha", "radius", "temperature", "threshold")  # parameters that an objective fills in
EXPECTED = (
    "expected is a function of logits (..., n, 2) and soft labels (..., n) with the keyword `weight`, whose other "
    f"parameters have defaults or are among {', '.join(SETTINGS)}"
)


def _fault(name: str, loss: Any) -> str | None:
    """What is wrong with a loss that somebody adds; None where nothing is."""
    if not callable(loss):
        return f"this is a {type(loss).__name__}; {EXPECTED}"
    try:
        parameters = signature(loss).parameters.values()
    except (TypeError, ValueError):
        return f"its parameters cannot be told; {EXPECTED}"
    places = [one for one in parameters if one.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)]
    others = [*places[2:], *(one for one in parameters if one.kind is Parameter.KEYWORD_ONLY)]
    needed = [one.name for one in others if one.default is Parameter.empty]
    wrong = [one for one in needed if one not in ("weight", *SETTINGS)]
    named = {one.name for one in parameters if one.kind is not Parameter.POSITIONAL_ONLY}
    anything = {one.kind for one in parameters}
    if len(places) < 2 and Parameter.VAR_POSITIONAL not in anything:
        return f"it takes {len(places)} arguments by place; {EXPECTED}"
    if "weight" not in named and Parameter.VAR_KEYWORD not in anything:
        return f"it takes no `weight`; {EXPECTED}"
    return f"it needs `{wrong[0]}`; {EXPECTED}" if wrong else None


LOSSES: "Registry[Callable[..., Tensor]]" = Registry(
    "losses",
    "loss",
    {
        "xent": "functions:xent",
        "logconf": "functions:logconf",
        "logconf-batch": "functions:logconf_batch",
        "entropy": "functions:entropy",
        "entropy-detached": "functions:entropy_detached",
        "window": "functions:window",
        "kl": "functions:kl",
        "reverse_kl": "functions:reverse_kl",
        "product": "functions:product",
        "adaptconf": "functions:adaptconf",
        "confidence": "functions:confidence",
        "dispersion": "functions:by_dispersion",
        "jensen_shannon": "functions:jensen_shannon",
        "hellinger": "functions:hellinger",
        "chi_squared": "functions:chi_squared",
        "total_variation": "functions:total_variation",
    },
    package=__package__,
    fault=_fault,
)
LOSS_NAMES: tuple[LossName, ...] = LOSSES.own  # of the package's own


def known_loss(name: str) -> str:
    """The name of a loss that there is; InputError for any other."""
    if name not in LOSSES:
        raise InputError(f"loss {name!r}: {did_you_mean(name, LOSSES)}")
    return name
