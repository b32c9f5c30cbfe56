"""The attention probe: a row's log-odds are a weighted mean of what a linear score says of each of its tokens."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..devices import PROCESSOR
from ..errors import InputError
from ..labels.shuffled import shuffled_labels
from ..randomness import stream
from ..rows.groups import group_numbers
from ..store.token_activations import Tokens
from ..ties import above_half
from .attention_cross_fitting import CrossFitted
from .attention_fits import AttentionArrays, AttentionFits, as_raw_weights, checked_settings
from .attention_pass import Pool
from .attention_reading import Readings, TokenReading, all_of, log_odds_of, pooled_of, readings, token_frame
from .attention_training import AttentionSettings
from .token_rows import checked_tokens

FOLDS = 5


class Pooling(str):
    """The name of a probe's pooling, which pools when it is called: `probe.pool == "max"`, `probe.pool(tokens)`."""

    probe: "AttentionProbe"

    @classmethod
    def of(cls, probe: "AttentionProbe", name: str) -> "Pooling":
        """The pooling of a probe."""
        pooling = cls(name)
        pooling.probe = probe
        return pooling

    def __call__(self, tokens: Tokens) -> NDArray[np.float32]:
        """Vectors (n, d): the rows' tokens averaged by attention, by the mean of the heads'."""
        passes = self.probe.readings(tokens, pooled=True)
        return pooled_of(passes, len(tokens.offsets) - 1, self.probe.n_features_in_)

    def __deepcopy__(self, memo: dict[int, Any]) -> str:
        return str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)


class _PoolingOf:
    """The attribute `pool` of a probe: it is set to a name, and read as a `Pooling`."""

    def __get__(self, probe: "AttentionProbe", kind: Any = None) -> Pooling:
        return Pooling.of(probe, probe._pool)

    def __set__(self, probe: "AttentionProbe", name: Pool) -> None:
        probe._pool = name


class AttentionProbe(BaseEstimator):  # type: ignore[misc]
    """A row's log-odds are Σ_t a_t s_t: s_t = v·h_t + b is a token's score, a the softmax of w₂·tanh(W₁ h_t + b₁).

    Attention, score and contribution a_t s_t of a token are one decomposition of the row. With w₂ = 0 it is the
    logistic probe of the rows' mean vectors, which is `pool="mean"`, the control: it has the same penalty and is solved
    exactly. `pool="max"` takes the token of the largest score; `heads` add up, each with an attention and a v of its
    own. Minimises mean BCE + l2 · (‖v‖² + ‖W₁‖² / hidden + ‖w₂‖²) on activations standardised by the moments of the
    tokens; Adam, batches of 128 rows, never padded. Fitted weights apply to raw activations. Rows are those of a store
    made with position `all`: `store.tokens(layer)`, or `store.stored_tokens(layer)`, which stay on disk. (Attention as
    in multiple-instance learning, Ilse et al. 2018; `gated` multiplies the tanh by a sigmoid branch.)

    Where attention lies says what the probe reads, not why a label is so: a loud direction draws it by chance, too.

    >>> import numpy as np
    >>> from w2s_probes.store import TokenActivations
    >>> values = np.array([[4.0], [0.0], [0.0], [-4.0], [0.0], [4.0], [-4.0], [0.0]], dtype=np.float32)
    >>> tokens = TokenActivations(values, np.array([0, 2, 4, 6, 8]), np.zeros(8, dtype=np.int32))
    >>> probe = AttentionProbe(hidden=4, epochs=50).fit(tokens, [0.9, 0.1, 0.9, 0.1])
    >>> (probe.predict_proba(tokens)[:, 1] > 0.5).tolist()
    [True, False, True, False]
    """

    pool = _PoolingOf()  # the name of the pooling; called with tokens, what it makes of each row: vectors (n, d)
    _pool: Pool

    def __init__(
        self,
        hidden: int = 64,
        l2: float = 1e-3,
        gated: bool = False,
        epochs: int = 40,
        skip_first: bool = False,
        heads: int = 1,
        pool: Pool = "attention",
        seed: int = 0,
        device: str = PROCESSOR,
    ) -> None:
        self.hidden = hidden  # units of the layer that attention is read from
        self.l2 = l2  # penalty, at least 0
        self.gated = gated
        self.epochs = epochs
        self.skip_first = skip_first  # whether first tokens, which are far off all others in many models, do not count
        self.heads = heads
        self.pool = pool
        self.seed = seed
        self.device = device  # of its fits and of what it reads: "cpu", or torch's "cuda"

    def fit(self, tokens: Tokens, y: ArrayLike, *, groups: ArrayLike | None = None, folds: int = FOLDS) -> Self:
        """Learn from rows of tokens and labels y (n,), P(label = 1) or two classes.

        `groups` (n,) and `folds` are of `out_of_sample_` and what else is said of training rows: related rows share a
        fold. Nothing of these is trained before it is asked for.
        """
        fits = AttentionFits.of(self._settings, tokens, y, together=FOLDS)
        (weights,) = fits.trained(fits.p[None], np.ones((1, len(fits.p)), dtype=bool))
        self._take(fits, weights)
        self._fits, self._groups, self._folds = fits, groups, folds
        return self

    def permuted(
        self, tokens: Tokens, y: ArrayLike, *, draws: int = 20, groups: ArrayLike | None = None
    ) -> "list[AttentionProbe]":
        """Probes that learned labels dealt out anew, trained together: what a figure of this probe is without labels.

        Labels are laid along the groups (n,) in random order, so that related rows keep labels that were neighbours. A
        figure of tokens is a band over at least 20 draws, not one half: a loud direction is hit by chance.
        """
        fits = AttentionFits.of(self._settings, tokens, y, together=draws)
        codes, rng = group_numbers(groups, len(fits.p)), stream(self.seed, "permuted labels")
        dealt = np.stack([shuffled_labels(fits.p, codes, rng) for _ in range(draws)])
        return [self._like(fits, weights) for weights in fits.trained(dealt, np.ones(dealt.shape, dtype=bool))]

    def predict_proba(self, tokens: Tokens) -> NDArray[np.float64]:
        """Class probabilities (n, 2) of rows; a training row given here is scored in-sample."""
        p = expit(self.decision_function(tokens))
        return np.column_stack([1 - p, p])

    def predict(self, tokens: Tokens) -> NDArray[Any]:
        """The class (n,) of rows: the second one where its probability is above one half."""
        return np.asarray(self.classes_[above_half(self.predict_proba(tokens)[:, 1]).astype(np.intp)])

    def decision_function(self, tokens: Tokens) -> NDArray[np.float64]:
        """Log-odds (n,) of the second class."""
        return log_odds_of(self.readings(tokens))

    def token_scores(self, tokens: Tokens) -> pd.DataFrame:
        """A line a token: `id`, `position`, `token_id`, `attention`, `score`, `contribution`.

        `score` is the row's log-odds if all attention lay on this token; contributions add up to the row's log-odds.
        They are attention x score where there is one head.
        """
        return pd.concat(list(self.token_score_parts(tokens)), ignore_index=True)

    def token_score_parts(self, tokens: Tokens) -> Iterator[pd.DataFrame]:
        """The lines of `token_scores`, some rows at a time: memory does not grow with the tokens."""
        for rows, block, reading in self.readings(tokens):
            yield token_frame(rows, block, reading)

    def read(self, tokens: Tokens, rows: NDArray[np.intp] | None = None, *, pooled: bool = False) -> TokenReading:
        """Some rows (all): log-odds, attention, scores and contributions, and `pooled` vectors where asked for."""
        return all_of(self.readings(tokens, rows, pooled=pooled))

    def readings(self, tokens: Tokens, rows: NDArray[np.intp] | None = None, *, pooled: bool = False) -> Readings:
        """`read`, a pass at a time: the numbers of its rows, their tokens, and what is read of both."""
        check_is_fitted(self)
        known = checked_tokens(tokens, self.skip_first, self.n_features_in_, len(self.hidden_coef_) + len(self.coef_))
        arrays = (self.hidden_coef_, self.hidden_intercept_, self.attention_coef_, self.coef_, self.intercept_)
        weights = as_raw_weights(*arrays, gated=self.gated)
        return readings(weights, known, self._pool, self.skip_first, rows=rows, pooled=pooled, device=self.device)

    @cached_property
    def cross_fitted_(self) -> "CrossFitted[AttentionProbe]":
        """The training rows, each by a probe that learned no row of its fold; made when first asked for."""
        if "_fits" not in vars(self):
            raise InputError("this AttentionProbe has no training rows at hand (loaded, or not fitted): fit it")
        fits = self._fits
        folds = fits.folds(self._groups, self._folds)
        taught = folds != np.arange(self._folds)[:, None]
        trained = fits.trained(np.repeat(fits.p[None], self._folds, axis=0), taught)
        return CrossFitted(fits.tokens, folds, [self._like(fits, weights) for weights in trained])

    @property
    def out_of_sample_(self) -> NDArray[np.float64]:
        """P(second class) (n,) of each training row by a probe that learned no row of its fold, group or duplicates."""
        return self.cross_fitted_.p

    def fitted(
        self,
        W1: ArrayLike,
        b1: ArrayLike,
        w2: ArrayLike,
        v: ArrayLike,
        b: float,
        *,
        classes: ArrayLike = (0, 1),
        soft: bool = True,
    ) -> Self:
        """Take over weights found elsewhere, as if by `fit`, for raw activations of width d.

        W1 (units, d) and b1 (units,) are of the hidden layer, and then of its gate where there is one; w2 (heads,
        hidden) are attention's, v (heads, d) and b the score's.
        """
        self.hidden_coef_, self.hidden_intercept_ = np.asarray(W1, np.float32), np.asarray(b1, np.float32)
        self.attention_coef_ = np.atleast_2d(np.asarray(w2, np.float32))
        self.coef_ = np.atleast_2d(np.asarray(v, np.float32))
        self.intercept_, self.classes_ = np.array([b], dtype=np.float64), np.asarray(classes)
        self.soft_, self.n_features_in_ = soft, int(self.coef_.shape[1])
        for name in ("cross_fitted_", "_fits", "_groups", "_folds"):
            self.__dict__.pop(name, None)
        return self

    @property
    def _settings(self) -> AttentionSettings:
        return checked_settings(
            AttentionSettings(
                **{name: getattr(self, name) for name in self.get_params() if name != "pool"}, pool=self._pool
            )
        )

    def _take(self, fits: AttentionFits, weights: AttentionArrays) -> Self:
        return self.fitted(*weights, classes=fits.classes, soft=fits.soft)

    def _like(self, fits: AttentionFits, weights: AttentionArrays) -> "AttentionProbe":
        return self.__sklearn_clone__()._take(fits, weights)

    def __sklearn_clone__(self) -> "AttentionProbe":
        return type(self)(**{name: getattr(self._settings, name) for name in self.get_params()})
