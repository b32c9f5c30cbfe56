"""The lightweight student: a linear head on one layer's activations, trained on soft labels with any loss."""

from collections.abc import Iterator
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from ..checks import probabilities, scaled_weights
from ..errors import InputError
from ..losses import LossName, Objective
from ..probes.base import Probe
from ..probes.validation import check_activations
from ..randomness import torch_seed
from .finetuning.settings import Stop
from .stopping import Criterion
from .threads import one_thread

Loss = LossName
WARM_UP = 0.2  # of training, over which the weight of the student's own prediction ramps up (Burns et al. 2023, 4.3)
FEWEST_BATCHES = 16  # an epoch: small sets get smaller batches, or Adam's steps would be too few to get anywhere
CONSTANT = 1e-6  # deviation, by the mean, up to which a column is its own rounding
BLOCK = 1 << 20  # numbers in float64 at once
INITIAL_SCALE = 0.01  # of a usual initialisation, so that training starts from predictions near one half


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

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train on activations X (n, d) and labels y (n,); with validation rows keep the best epoch by `stop`.

        Epochs are compared by `y_val`: pass *weak* labels there, or the result is an oracle's. Without validation
        rows, or where they are all of one class and `stop` is "auroc", training runs for all epochs and keeps the
        last. `sample_weight` (n,), scaled to mean 1, multiplies the rows' losses; standardisation, batches
        and what a loss takes from all labels do not know of it.
        """
        if not 0 <= self.l2 < np.inf:
            raise InputError(f"l2={self.l2!r}: the penalty must be a finite number >= 0")
        objective = Objective(self.loss, alpha=self.alpha, warm_up=self.warm_up, prior=self.prior, gather=False)
        Criterion.of(self.stop, np.empty(0))  # refuses one that does not exist
        matrix, p = self._read(X, y)
        objective.fit(p)
        weight = None if sample_weight is None else torch.from_numpy(scaled_weights(sample_weight, len(p)))
        center, scale = _moments(matrix)
        held_out = None
        if X_val is not None and y_val is not None:
            rows, named = check_activations(X_val), self.classes_.tolist() != [0, 1]
            soft = probabilities(np.asarray(y_val) == self.classes_[1] if named else y_val, "validation labels")
            if len(soft) != len(rows):
                raise InputError(f"{len(soft)} validation labels but {len(rows)} rows: one label a row is needed")
            if criterion := Criterion.of(self.stop, soft):
                held_out = torch.from_numpy(_standardised(rows, center, scale)), criterion
        with one_thread():
            standard = torch.from_numpy(_standardised(matrix, center, scale))
            weights, bias = self._train(standard, torch.from_numpy(p).float(), weight, held_out, objective)
        self.coef_ = (weights / scale)[None, :]
        self.intercept_ = np.array([bias - self.coef_[0] @ center])
        return self

    def _train(
        self,
        X: torch.Tensor,
        p: torch.Tensor,
        weight: torch.Tensor | None,
        held_out: tuple[torch.Tensor, Criterion] | None,
        objective: Objective,
    ) -> tuple[NDArray[np.float64], float]:
        """The difference of the two logits as weights (d,) on standardised inputs and a bias."""
        generator = torch.Generator().manual_seed(torch_seed(self.seed, "head"))
        head = torch.nn.Linear(X.shape[1], 2)
        with torch.no_grad():
            head.weight.normal_(std=INITIAL_SCALE * X.shape[1] ** -0.5, generator=generator)
            head.bias.zero_()
        optimizer = torch.optim.Adam(head.parameters(), lr=self.learning_rate)
        batch = min(self.batch_size, max(1, len(X) // FEWEST_BATCHES))
        objective.plan(self.epochs * -(-len(X) // batch))
        best, best_state, self.n_epochs_, self.alpha_ = -np.inf, _difference(head), self.epochs, objective.own_weight
        since = 0
        for epoch in range(1, self.epochs + 1):
            for rows in torch.randperm(len(X), generator=generator).split(batch):  # type: ignore[no-untyped-call]
                loss = objective(head(X[rows]), p[rows], weight=None if weight is None else weight[rows])
                if self.l2:
                    loss = loss + self.l2 * (head.weight[1] - head.weight[0]).square().sum()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                objective.advance()
            if not torch.isfinite(head.weight).all():
                raise InputError(
                    f"the head diverged at step {objective.step}: lower the learning rate ({self.learning_rate:g})"
                )
            if held_out is None:
                best_state, self.alpha_ = _difference(head), objective.own_weight
                continue
            if objective.ramping and epoch < self.epochs:
                continue  # while the loss itself still changes, nothing is chosen and nothing is concluded
            with torch.no_grad():
                logits = head(held_out[0])
            score = held_out[1].score((logits[:, 1] - logits[:, 0]).numpy())
            since += 1
            if score > best:
                best, best_state, self.n_epochs_, since = score, _difference(head), epoch, 0
                self.alpha_ = objective.own_weight
            if since >= self.patience:
                break
        return best_state

    def _score(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(expit(X @ self.coef_[0] + self.intercept_[0]))


def _moments(X: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation (d,) of the columns of X (n, d); of constant columns 1.

    In float64: in float32 the squares of 1e18 and of 1e-30 are no numbers, and a common offset drowns what varies.
    """
    center = X.mean(axis=0, dtype=np.float64)
    squares = np.zeros(X.shape[1])
    for part in _parts(X):
        squares += ((X[part] - center) ** 2).sum(axis=0)
    scale = np.sqrt(squares / len(X))
    return center, np.where(scale > CONSTANT * np.abs(center), scale, 1)


def _standardised(
    X: NDArray[np.float32], center: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(X - center) / scale as float32 (n, d); of rows beyond all measure the largest number that float32 has."""
    out, most = np.empty_like(X), np.finfo(np.float32).max
    for part in _parts(X):
        out[part] = np.clip((X[part] - center) / scale, -most, most)
    return out


def _parts(X: NDArray[np.float32]) -> Iterator[slice]:
    """The rows in slices, a block at a time: all of them in float64 would be twice the memory of X."""
    step = max(1, BLOCK // X.shape[1])
    for start in range(0, len(X), step):
        yield slice(start, start + step)


def _difference(head: torch.nn.Linear) -> tuple[NDArray[np.float64], float]:
    """The weights (d,) and the bias of the second logit less those of the first."""
    weights = (head.weight[1] - head.weight[0]).detach().double().numpy()
    return weights, float((head.bias[1] - head.bias[0]).detach())
