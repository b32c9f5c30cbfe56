"""The lightweight student: a linear head on one layer's activations, trained on soft labels with any loss."""

from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from ..devices import PROCESSOR
from ..errors import InputError
from ..losses import LossName
from ..probes.base import Probe
from ..probes.validation import check_activations
from ..rows.linear_scores import linear_scores
from .finetuning.settings import Stop
from .head_lesson import WARM_UP, HeadLesson
from .head_start import HeadStart
from .head_training import Learned, learn

Loss = LossName


class HeadStudent(Probe):
    """A linear two-class head on frozen activations; weak supervisor, ceiling and student alike.

    The linear-probing protocol of Burns et al. 2023, D.2: Adam, batches of 128 (fewer rows where the set is
    small), no weight decay, up to 200 epochs. What deviates from D.2: inputs are standardised by the training rows,
    since Adam's one rate would otherwise favour a transformer's outlier dimensions (the fitted `coef_` (1, d) and
    `intercept_` (1,) apply to raw activations); the epoch is by default that of best AUROC, as in EleutherAI's
    experiments, where D.2 takes agreement (`stop`); `logconf` takes its threshold from the last 32 predictions, a
    quarter of a batch of 128.

    With a loss whose weight of the student's own prediction ramps up, epochs are compared once the ramp is over: one
    before would be a student of another loss. `alpha_` is that weight in the last update of the chosen epoch,
    `n_epochs_`; None for losses that have none.

    `l2` adds l2 · ‖w‖² to the loss, w the difference of the two logits' weights, bias free, as `LogisticProbe` does,
    but on standardised inputs. Early stopping by AUROC, which no scale of the scores moves, regularises little.

    >>> import numpy as np
    >>> X, weak = np.random.default_rng(0).normal(size=(200, 4)), np.tile([0.1, 0.9], 100)
    >>> X[:, 0] += np.tile([-2.0, 2.0], 100)
    >>> head = HeadStudent("logconf", epochs=5).fit(X[:150], weak[:150], X[150:], weak[150:])
    >>> head.predict_proba(X[150:]).shape
    (50, 2)
    >>> bool((head.predict(X[150:]) == (weak[150:] > 0.5)).mean() > 0.9)
    True
    """

    _one_sided = True  # cross-entropy with soft labels needs no row of another class

    def __init__(
        self,
        loss: Loss = "xent",
        *,
        alpha: float = 0.5,
        warm_up: float = WARM_UP,
        prior: float | Literal["batch"] | None = None,
        epochs: int = 200,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        l2: float = 0.0,
        stop: Stop = "auroc",
        patience: int = 20,
        seed: int = 0,
        device: str = PROCESSOR,
    ) -> None:
        self.loss = loss
        self.alpha = alpha  # the weight of the student's own prediction once warmed up, in the losses that have one
        self.warm_up = warm_up  # of that weight: updates, or below 1 a share of all epochs
        self.prior = prior  # of the log-confidence losses: see `losses.Objective`
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.l2 = l2
        self.stop = stop  # the criterion on validation rows: see `stopping.Criterion`
        self.patience = patience  # epochs without a better one after which training ends
        self.seed = seed
        self.device = device  # of its training: "cpu", or torch's "cuda"

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        start: "HeadStudent | None" = None,
    ) -> Self:
        """Train on activations X (n, d) and labels y (n,); with validation rows keep the best epoch by `stop`.

        Epochs are compared by `y_val`: pass *weak* labels there, or the result is an oracle's. Without validation
        rows, or where they are all of one class and `stop` is "auroc", training runs for all epochs and keeps the
        last. `sample_weight` (n,), scaled to mean 1, multiplies the rows' losses; standardisation, batches
        and what a loss takes from all labels do not know of it. Training goes on from `start`, a fitted head on
        activations of the same width, in place of random weights, with inputs standardised by X and a new optimiser.
        """
        matrix, p = self._read(X, y)
        rows, soft = None, None
        if (X_val is None) != (y_val is None):
            raise InputError("X_val and y_val belong together: give both, or neither to keep the last epoch")
        if X_val is not None:
            rows, named = check_activations(X_val), self.classes_.tolist() != [0, 1]
            soft = np.asarray(y_val) == self.classes_[1] if named else y_val
        lesson = HeadLesson(
            p,
            weight=sample_weight,
            val_labels=soft,
            loss=self.loss,
            alpha=self.alpha,
            warm_up=self.warm_up,
            prior=self.prior,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            l2=self.l2,
            stop=self.stop,
            patience=self.patience,
            seed=self.seed,
            start=None if start is None else HeadStart(start.coef_[0], float(start.intercept_[0])),
        )
        place = None if self.device == PROCESSOR else self.device
        (learned,) = learn(matrix, [lesson], rows, batch_size=self.batch_size, seed=self.seed, device=place)
        if isinstance(learned, InputError):
            raise learned
        return self._with(learned)

    @classmethod
    def of_lesson(cls, lesson: HeadLesson, learned: Learned, *, batch_size: int, device: str | None = None) -> Self:
        """The fitted student of a lesson that was learned."""
        student = cls(
            lesson.loss,
            alpha=lesson.alpha,
            warm_up=lesson.warm_up,
            prior=lesson.prior,
            epochs=lesson.epochs,
            batch_size=batch_size,
            learning_rate=lesson.learning_rate,
            l2=lesson.l2,
            stop=lesson.stop,
            patience=lesson.patience,
            seed=lesson.seed,
            device=device or PROCESSOR,
        )
        student.classes_, student.n_features_in_ = np.array([0, 1]), len(learned.coef)
        student.soft_ = learned.soft
        return student._with(learned)

    def _with(self, learned: Learned) -> Self:
        self.coef_, self.intercept_ = learned.coef[None, :], np.array([learned.intercept])
        self.n_epochs_, self.alpha_ = learned.n_epochs, learned.alpha
        return self

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(expit(linear_scores(X, self.coef_[0], self.intercept_[0])))
