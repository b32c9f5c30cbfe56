"""What a linear probe of the training rows shares with one of the held-out rows: a forecast of how it transfers."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..devices import DeviceError
from ..errors import InputError
from ..foretelling.foretold_measure import Foretold
from ..foretelling.probe_cosine import mahalanobis_cosine
from ..probes import LogisticProbe
from .layer_scores import SweepCell, SweptLayer
from .measures import COSINE, HELD_OUT, LEFT_OUT, OK, SweepLine
from .swept_labels import Side


@dataclass(frozen=True, eq=False)
class Transfer:
    """The Mahalanobis cosine of a layer's linear probes and those that the held-out rows' own labels teach.

    Both probes are of the same kind and value; the covariance is that of the held-out rows. No truth is read.
    """

    layer: SweptLayer
    target: Side  # the held-out rows

    def line(self, here: SweepLine, cell: SweepCell, direction: NDArray[np.float64]) -> SweepLine:
        """The line of one cell, whose probe of the training rows has the weights `direction` (d,)."""
        here = here | {"rows": HELD_OUT, "n": len(self.target), "metric": COSINE}
        try:
            found = mahalanobis_cosine(direction, self._of_target(cell), self.layer.other, groups=self.target.groups)
        except DeviceError:
            raise
        except InputError as error:  # one class of labels, too few rows that are not equal
            nothing = {"value": np.nan, "low": np.nan, "high": np.nan}
            return here | nothing | {"status": f"{LEFT_OUT}held-out rows: {error}"}
        return here | _measured(found)

    def _of_target(self, cell: SweepCell) -> NDArray[np.float64]:
        if cell.probe == "logistic":
            return self._logistic[float(cell.value)]
        fitted: Any = self.layer.grid.probe(cell.probe, cell.value).fit(self.layer.other, self.target.p)
        return np.asarray(fitted.coef_, dtype=np.float64).ravel()

    @cached_property
    def _logistic(self) -> dict[float, NDArray[np.float64]]:
        """Weights (d,) of the logistic probes of the held-out rows, by penalty: one path for all."""
        penalties = self.layer.grid.values["logistic"]
        device = self.layer.grid.device
        path = LogisticProbe.path(self.layer.other, self.target.p, l2=penalties, cv=None, device=device)
        return {float(l2): path.coef_[at] for at, l2 in enumerate(penalties)}


def transfer_of(layer: SweptLayer, held_out: Side | None) -> Transfer | None:
    """That of a layer whose sweep asks for it."""
    return Transfer(layer, held_out) if layer.grid.transfer and held_out is not None else None


def _measured(found: Foretold) -> SweepLine:
    estimate = found.estimate
    ends = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    # A number without an interval, as of probes that are one direction, is there all the same.
    return ends | {"status": OK if found.is_known else f"{LEFT_OUT}{found.status}"}
