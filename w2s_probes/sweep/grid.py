"""What a sweep tries: probes and their values, contaminations, seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, did_you_mean
from ..filtering.shares import refuse_shares
from ..neighbors import whole
from ..probes import Connectivity, TopoProbe
from ..probes.penalties import PENALTIES
from ..probes.problems import checked_penalties

PUBLISHED_K = (1, 5, *range(10, 100, 5))  # twenty numbers of neighbours
ChooseBy = Literal["weak_brier", "weak_auroc", "auroc", "accuracy"]
BY_TRUTH = ("auroc", "accuracy")
LISTS = ("knn_k", "logistic_l2", "topo_k", "contamination", "seeds")  # fields of a grid that hold several numbers
Numbers = float | Sequence[float] | NDArray[Any]  # one, or several


def listed(values: Any, name: str) -> tuple[Any, ...]:
    """One number, or several, as a tuple; InputError, by the option's `name`, for anything else."""
    if isinstance(values, str | bytes | Mapping) or values is None:
        kind = "nothing (None)" if values is None else f"{type(values).__name__} {str(values)[:40]!r}"
        raise InputError(f"{name} takes a number or a list of numbers, as {name}={EXAMPLES[name]}; got {kind}")
    several = list(values) if np.ndim(values) == 1 or isinstance(values, range | set | tuple | list) else [values]
    for value in several:
        if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
            raise InputError(
                f"{name} takes a number or a list of numbers, as {name}={EXAMPLES[name]}; got {type(value).__name__} "
                f"{str(value)[:40]!r}"
            )
    return tuple(several)


EXAMPLES = {"knn_k": "5 or [5, 50]", "logistic_l2": "0.01 or [0.01, 1]", "topo_k": "20 or [20, 50]"}
EXAMPLES |= {"contamination": "0.1 or [0.1, 0.2]", "seeds": "0 or [0, 1, 2]"}


@dataclass(frozen=True)
class Grid:
    """The values of a sweep; of the first three at least one has some."""

    knn_k: Sequence[int] = ()
    logistic_l2: Sequence[float] = ()
    topo_k: Sequence[int] = ()
    contamination: Sequence[float] = ()  # shares of rows that filters by the probes would remove
    connectivity: Connectivity = "strong"  # of Topo's components
    folds: int = 5  # of logistic's out-of-sample scores
    seeds: Sequence[int] = (0,)  # of those folds
    index: str = "exact"  # as KNNProbe's

    def __post_init__(self) -> None:
        for name in LISTS:
            object.__setattr__(self, name, listed(getattr(self, name), name))
        if not (self.knn_k or self.logistic_l2 or self.topo_k):
            raise InputError("nothing to sweep: give knn_k, logistic_l2 or topo_k at least one value")
        for name in ("knn_k", "topo_k"):
            values = tuple(dict.fromkeys(whole(k, name) for k in getattr(self, name)))
            if values and min(values) < 1:
                raise InputError(f"{name}={min(values)} must be at least 1")
            object.__setattr__(self, name, values)
        if self.logistic_l2:
            values = tuple(dict.fromkeys(checked_penalties(np.asarray(self.logistic_l2, dtype=float)).tolist()))
            object.__setattr__(self, "logistic_l2", values)
        for share in self.contamination:
            refuse_shares(share)
        object.__setattr__(self, "contamination", tuple(dict.fromkeys(float(share) for share in self.contamination)))
        seeds = tuple(dict.fromkeys(whole(seed, "seeds") for seed in self.seeds))
        if not seeds or min(seeds) < 0 or max(seeds) >= 2**63:
            raise InputError(f"seeds={list(self.seeds)}: give at least one, none below 0 or of more than 63 bits")
        object.__setattr__(self, "seeds", seeds)
        if self.connectivity not in get_args(Connectivity):
            hint = did_you_mean(self.connectivity, get_args(Connectivity))
            raise InputError(f"connectivity={self.connectivity!r}: {hint}")
        if whole(self.folds, "folds") < 2:
            raise InputError(f"folds={self.folds}: cross-fitting needs at least 2")

    @classmethod
    def published(cls, rows: int) -> "Grid":
        """The values of the published sweeps, as far as so many training rows can serve them."""
        return cls(knn_k=tuple(k for k in PUBLISHED_K if k < rows), logistic_l2=PENALTIES)

    def refuse_too_few(self, rows: int) -> None:
        """InputError for a number of neighbours that so many training rows cannot serve."""
        largest = max((*self.knn_k, *self.topo_k), default=0)
        if largest >= rows:
            raise InputError(f"k={largest} needs at least {largest + 1} training rows, got {rows}: lower k or add data")

    @property
    def cells(self) -> int:
        """Probes with their values, for one layer, label set and seed."""
        return len(self.knn_k) + len(self.logistic_l2) + len(self.topo_k)

    @property
    def graph_k(self) -> int:
        """Neighbours a row that every kNN and Topo cell can be read from; 0 where there are none."""
        return max((*self.knn_k, *(TopoProbe(k, k).graph_k for k in self.topo_k)), default=0)

    def record(self) -> dict[str, Any]:
        """For a file: every value."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
