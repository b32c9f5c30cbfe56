"""The head that a lesson begins with, in place of random weights: one that was taught before is taught on."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .standard_rows import OwnStandards, StandardRows


@dataclass(frozen=True, eq=False)
class HeadStart:
    """A trained head on raw activations, as `HeadStudent` has it.

    A head that goes on from it standardises its inputs as it did, by the rows that it learned from: those are part of
    the model. Its optimiser begins anew.
    """

    coef: NDArray[np.float64]  # (d,)
    intercept: float
    rows: ArrayLike | None = None  # bool (n,), those of the common rows that it learned from; None: all

    def standards(self, n: int) -> NDArray[np.bool_]:
        """The rows (n,) by which inputs are standardised; InputError for a mask of another shape."""
        if self.rows is None:
            return np.ones(n, dtype=bool)
        mask = np.asarray(self.rows)
        if mask.shape != (n,) or mask.dtype != np.bool_ or not mask.any():
            raise InputError(
                f"the rows of a start have shape {mask.shape} and dtype {mask.dtype}: one true or false for each of "
                f"{n} rows, and some true"
            )
        return mask

    def refuse_width(self, width: int) -> None:
        """InputError for a head on activations of another width."""
        if self.coef.shape != (width,):
            raise InputError(
                f"a start of width {len(self.coef)} for activations of width {width}: it was taught on others"
            )

    def weights(self, standard: StandardRows, own: OwnStandards, place: int) -> torch.Tensor:
        """Its weights (d + 1,) on inputs with the standards of `own` at this place, bias last.

        A column that is constant on the rows of the standards has no weight there, and none is lost: no head has one.
        """
        varies = np.isfinite(standard.scale)
        coef = np.where(varies, self.coef, 0.0) * np.where(varies, standard.scale, 0.0)
        bias = self.intercept + float(self.coef @ standard.center)
        factor, shift = (part[place].cpu().double().numpy() for part in (own.factor, own.shift))
        values = np.zeros(len(coef) + 1)
        values[:-1] = np.divide(coef, factor[:-1], out=np.zeros_like(coef), where=factor[:-1] != 0)
        values[-1] = bias - values[:-1] @ shift[:-1]
        return torch.from_numpy(values).float().to(own.factor.device)
