"""The MLP probe: one hidden layer between activations and log-odds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit

from ..devices import PROCESSOR
from ..errors import InputError
from ..neighbors import as_int
from ..rows.duplicates import equal_rows
from .base import Probe
from .mlp_on_device import train_on_device
from .mlp_training import Networks, StandardColumns, blocks, train
from .problems import both_classes, checked_folds, checked_penalties
from .registry import MLP_EPOCHS, MLP_HIDDEN
from .validation import check_activations, is_soft, soft_labels


class MLPProbe(Probe):
    """P(label = 1) is sigmoid(relu(x W₁ᵀ + b₁) w₂ + b₂), x being activations standardised column by column.

    Minimises mean BCE(y, P) + l2 (‖W₁‖² + ‖w₂‖²), the biases free, by Adam on batches of at most 256 rows for `epochs`
    epochs at a rate that falls to 0: nothing stops it, so no row is held out for that. First weights and the order of
    the rows come of `seed`; the numbers are the same on one thread and on several. For many penalties or folds see
    `path`. A fit of n rows of d columns costs about 6 x n x d x hidden x epochs operations; on a torch `device` such
    as "cuda" it is the same but for rounding, and rows are scored on the processor.

    >>> X = np.tile([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]], (50, 1))
    >>> MLPProbe(1e-4, epochs=50).fit(X, np.tile([0.0, 0.0, 1.0, 1.0], 50)).predict(X[:4]).tolist()
    [0, 0, 1, 1]
    """

    def __init__(
        self,
        l2: float = 1e-2,
        hidden: int = MLP_HIDDEN,
        epochs: int = MLP_EPOCHS,
        seed: int = 0,
        device: str = PROCESSOR,
    ) -> None:
        self.l2 = l2  # penalty, at least 0
        self.hidden = hidden  # units
        self.epochs = epochs  # passes over the rows
        self.seed = seed  # of the first weights and of the batches
        self.device = device  # of its fits: "cpu", or torch's "cuda"

    @classmethod
    def with_value(cls, value: float, **options: Any) -> Self:
        """An unfitted probe with this penalty; `mlp_hidden` and `mlp_epochs` are its `hidden` and `epochs`."""
        return cls(value, **{name.removeprefix("mlp_"): option for name, option in options.items()})

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from activations X (n, d) and labels y (n,)."""
        matrix, p = self._read(X, y)
        penalties = checked_penalties(self.l2)
        standard = StandardColumns.of(matrix)
        networks, _ = self._train(standard, p, np.ones((1, len(p)), dtype=bool), penalties)
        return self._take(networks, 0, standard)

    @classmethod
    def path(
        cls,
        X: ArrayLike,
        y: ArrayLike,
        *,
        l2: ArrayLike,
        cv: int | ArrayLike = 5,
        groups: ArrayLike | None = None,
        hidden: int = MLP_HIDDEN,
        epochs: int = MLP_EPOCHS,
        seed: int = 0,
        device: str = PROCESSOR,
    ) -> "MLPPath":
        """Fits on X (n, d) and labels y (n,) at every penalty, on all rows and without each fold, in one loop.

        `cv` is a number of folds, which keep groups (n,) and exact duplicates together and hang on `seed`; or a fold
        number for each row (n,). `seed` is that of the weights and batches, too. Columns are standardised by all rows;
        no label of a fold is read in the fit that scores it.
        """
        penalties, made = checked_penalties(l2), cls(hidden=hidden, epochs=epochs, seed=seed, device=device)
        matrix = check_activations(X)
        p, classes = soft_labels(y, len(matrix))
        folds = checked_folds(equal_rows(matrix), p, cv, groups, seed)
        fits = int(folds.max()) + 2  # of each penalty: all rows, then those without each fold
        taught = np.arange(-1, fits - 1)[:, None] != folds
        for rows in taught:
            both_classes(p, rows.astype(np.float64))
        standard = StandardColumns.of(matrix)
        masks = np.tile(taught, (len(penalties), 1))
        networks, scored = made._train(standard, p, masks, np.repeat(penalties, fits), score=True)
        log_odds = scored.reshape(len(p), len(penalties), fits)
        outside = log_odds[np.arange(len(p)), :, folds + 1].T.astype(np.float64)
        probes = [
            cls(float(value), hidden, epochs, seed, device)
            ._named(classes, matrix.shape[1], p)
            ._take(networks, at, standard)
            for value, at in zip(penalties, range(0, len(networks.b2), fits), strict=True)
        ]
        loss = -(p * log_expit(outside) + (1 - p) * log_expit(-outside)).mean(axis=1)
        return MLPPath(penalties, probes, np.asarray(expit(outside)), loss, folds)

    def _train(
        self,
        standard: StandardColumns,
        p: NDArray[np.float64],
        taught: NDArray[np.bool_],
        l2: Sequence[float] | Any,
        *,
        score: bool = False,
    ) -> tuple[Networks, NDArray[np.float32]]:
        """The networks of masks (M, n); and the log-odds (n, M) of all rows, where they are to score them."""
        sizes = {name: as_int(getattr(self, name), name) for name in ("hidden", "epochs")}
        for name, value in sizes.items():
            if value < 1:
                raise InputError(f"{name}={value}: at least 1 is needed")
        none = np.empty(0, dtype=np.float32)
        if self.device != PROCESSOR:
            there = train_on_device(standard.rows, p, taught, l2, **sizes, seed=self.seed, device=self.device)
            return there.networks, there.log_odds() if score else none
        networks = train(standard.rows, p, taught, l2, **sizes, seed=self.seed)
        return networks, networks.log_odds(standard.rows) if score else none

    def _named(self, classes: NDArray[Any], width: int, p: NDArray[np.float64]) -> Self:
        self.classes_, self.n_features_in_, self.soft_ = classes, width, is_soft(p)
        return self

    def _take(self, networks: Networks, at: int, standard: StandardColumns) -> Self:
        """Take over one network, for activations as they are."""
        self.hidden_coef_ = networks.W1[at] / standard.scale  # (hidden, d)
        self.hidden_intercept_ = networks.b1[at] - self.hidden_coef_ @ standard.mean  # (hidden,)
        self.output_coef_ = networks.w2[at].astype(np.float64)[None]  # (1, hidden)
        self.output_intercept_ = np.array([networks.b2[at]], dtype=np.float64)
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log-odds (m,) of the second class."""
        return self._log_odds(self._checked(X))

    def gradient(self, X: ArrayLike) -> NDArray[np.float64]:
        """The slope (m, d) of the log-odds by each number of rows X (m, d): the direction that a row is read along."""
        matrix = self._checked(X)
        on = matrix @ self.hidden_coef_.T + self.hidden_intercept_ > 0
        return np.asarray((on * self.output_coef_[0]) @ self.hidden_coef_)

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(expit(self._log_odds(X)))

    def _log_odds(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        found = np.empty(len(X))
        for rows in blocks(X):
            hidden = np.maximum(X[rows] @ self.hidden_coef_.T + self.hidden_intercept_, 0)
            found[rows] = hidden @ self.output_coef_[0] + self.output_intercept_[0]
        return found


@dataclass(frozen=True, eq=False, repr=False)
class MLPPath:
    """MLP probes of one label set at P penalties, and their scores of rows that they did not learn.

    >>> X, y = np.arange(40.0).reshape(-1, 1), np.linspace(0.1, 0.9, 40)
    >>> path = MLPProbe.path(X, y, l2=[1e-3, 1e-1], cv=2, epochs=5)
    >>> path.out_of_fold.shape, path.probe(0.1)
    ((2, 40), MLPProbe(epochs=5, l2=0.1))
    """

    l2: NDArray[np.float64]  # (P,) as given
    probes: list[MLPProbe]  # (P,) fitted on all rows
    out_of_fold: NDArray[np.float64]  # (P, n) P(second class) of each row from the fit without its fold
    cv_loss: NDArray[np.float64]  # (P,) mean held-out BCE against the soft labels, in nats
    folds: NDArray[np.intp]  # (n,) the fold 0 .. F-1 of each row

    @property
    def best(self) -> float:
        """The penalty of least held-out loss by the given (weak) labels; of equals, the largest."""
        return float(self.l2[self.cv_loss == self.cv_loss.min()].max())

    def probe(self, l2: float) -> MLPProbe:
        """The probe fitted on all rows at one of the path's penalties."""
        at = np.flatnonzero(self.l2 == l2)
        if not len(at):
            raise InputError(f"l2={l2:g} is not on the path: {', '.join(f'{value:g}' for value in self.l2)}")
        return self.probes[int(at[0])]

    def to_frame(self) -> pd.DataFrame:
        """`l2` and `cv_loss`, a row each."""
        return pd.DataFrame({"l2": self.l2, "cv_loss": self.cv_loss})

    def __repr__(self) -> str:
        return f"MLPPath({len(self.l2)} penalties from {self.l2.min():g} to {self.l2.max():g}, best {self.best:g})"
