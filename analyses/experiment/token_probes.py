"""An attention probe in a trial: its scores, its out-of-sample opinions, and the vectors that it pools, all kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.devices import PROCESSOR, device_key
from w2s_probes.rows.groups import groups_of

from ..lessons.activations import Activations
from ..lessons.lesson import Misuse, Scores
from ..lessons.result_cache import Arrays, Record, ResultCache, array_hash, table_hash
from ..recipe.attention import Attention
from .row_sets import is_scored

if TYPE_CHECKING:
    from w2s_probes.probes import AttentionProbe

KIND = "attention"  # of its results in the cache
MEAN = "mean"  # the pooling of its control


@dataclass(frozen=True)
class TokenProbe:
    """An attention probe on the training rows of a trial, with labels of their own; results are kept by content."""

    activations: Activations  # of every token
    train: pd.DataFrame
    labels: NDArray[np.float64]  # (n_train,)
    groups: NDArray[np.object_] | None
    settings: Attention
    seed: int
    cache: ResultCache
    hashes: dict[str, str]  # of the row sets, by name
    device: str = PROCESSOR  # on which it is fitted
    mean: bool = False  # whether all tokens count alike: the control

    def scores(self, sets: dict[str, pd.DataFrame]) -> Scores:
        """P(label = 1) of each set's rows, none of them learned from."""

        def make() -> tuple[Arrays, Record]:
            fitted = self._fitted()
            return {name: fitted.predict_proba(self.activations.tokens(t))[:, 1] for name, t in sets.items()}, {}

        return self._kept("scores", {"sets": {name: self.hashes[name] for name in sets}}, make)

    def out_of_sample(self) -> NDArray[np.float64]:
        """P(label = 1) (n_train,) of each training row by a probe that did not learn its fold."""

        def make() -> tuple[Arrays, Record]:
            return {"p": self._fitted().out_of_sample_}, {}

        return self._kept("out of sample", {}, make)["p"]

    def pooled(self, sets: dict[str, pd.DataFrame]) -> dict[str, NDArray[np.float32]]:
        """Vectors (rows, width) of each set; a training row by the probe that did not learn its fold."""

        def make() -> tuple[Arrays, Record]:
            fitted = self._fitted()
            others = {name: fitted.pool(self.activations.tokens(t)) for name, t in sets.items() if name != "train"}
            return {"train": fitted.cross_fitted_.pooled, **others}, {}

        return self._kept("pooled", {"sets": {name: self.hashes[name] for name in sets}}, make)

    def _kept(self, what: str, more: dict[str, Any], make: Callable[[], tuple[Arrays, Record]]) -> Arrays:
        settings = {"l2": self.settings.l2, "skip_first": self.settings.skip_first, "pool": MEAN}
        described = {
            "what": what,
            "tokens": self.activations.identity,
            "train": self.hashes["train"],
            "labels": array_hash(self.labels),
            "settings": settings if self.mean else self.settings.model_dump(mode="json"),
            "seed": self.seed,
            **device_key(self.device),
            **more,
        }
        return self.cache.get(KIND, described, make)[0]

    def _fitted(self) -> "AttentionProbe":
        from w2s_probes.probes import AttentionProbe

        how: Any = self.settings
        common: dict[str, Any] = {"seed": self.seed, "device": self.device}
        if self.mean:
            probe = AttentionProbe(l2=how.l2, skip_first=how.skip_first, pool="mean", **common)
        else:
            probe = AttentionProbe(**how.model_dump(), **common)
        return probe.fit(self.activations.tokens(self.train), self.labels, groups=self.groups)


class TokenView:
    """The part of an experiment that its attention probes are: `Experiment` has the fields."""

    if TYPE_CHECKING:
        rows: Mapping[str, pd.DataFrame]
        tokens: Activations | None
        pooling: Attention | None
        activations: Activations
        shared: "Self | None"
        probes: Any
        seed: int
        cache: ResultCache
        device: str

    @cached_property
    def groups(self) -> NDArray[np.object_] | None:
        """The groups (n_train,) of related training rows; None where no two rows are related."""
        return groups_of(self.rows["train"])

    @property
    def weak_train(self) -> NDArray[np.float64]:
        """P(label = 1) of the training rows (n_train,) by the weak supervisor."""
        raise AssertionError("an experiment defines its weak labels")

    @cached_property
    def row_hashes(self) -> dict[str, str]:
        """Hashes of the row sets, for keys."""
        return {name: table_hash(table) for name, table in self.rows.items()}

    @cached_property
    def X_train(self) -> NDArray[np.float32]:
        """Activations (n_train, width) of the training rows; where attention pools them, out of fold."""
        return self._vectors("train")

    def _vectors(self, name: str) -> NDArray[np.float32]:
        """The activations (n, width) of a set of rows as probes read them."""
        return self.activations.of(self.rows[name]) if self.pooling is None else self._pooled[name]

    @cached_property
    def _pooled(self) -> dict[str, NDArray[np.float32]]:
        if (same := self._same_rows) is not None:
            return same._pooled
        sets = {"train": self.rows["train"], **self.read_by_probes}
        return self.token_probe(self.weak_train, self.pooling).pooled(sets)

    @property
    def _same_rows(self) -> Self | None:
        """The shared view if its rows and activations are the same and, where attention pools, what that learns."""
        shared = self.shared
        if shared is None or shared.rows is not self.rows or shared.activations is not self.activations:
            return None
        return shared if shared.pooling_key == self.pooling_key else None

    def token_probe(
        self, labels: NDArray[np.float64], settings: Attention | None = None, *, mean: bool = False
    ) -> TokenProbe:
        """The recipe's attention probe with labels (n_train,) of the training rows; `mean`: its control."""
        if self.tokens is None:
            raise Misuse("an attention probe reads every token of a row: this experiment has none")
        how = settings or self.probes.attention
        about = (self.groups, how, self.seed, self.cache, self.row_hashes, self.device)
        return TokenProbe(self.tokens, self.rows["train"], labels, *about, mean=mean)

    @property
    def evaluation_rows(self) -> dict[str, pd.DataFrame]:
        """The evaluation sets."""
        return {name: rows for name, rows in self.rows.items() if is_scored(name)}

    @property
    def read_by_probes(self) -> dict[str, pd.DataFrame]:
        """The sets that probes score: the evaluation sets, and validation rows where these calibrate them."""
        return self.evaluation_rows | ({} if self.probes.calibrate is None else {"val": self.rows["val"]})

    @property
    def pooling_key(self) -> dict[str, Any]:
        """The part of a cache key that attention's pooling decides; nothing where it does not pool."""
        if self.pooling is None:
            return {}
        labels = array_hash(self.weak_train)
        said = {"settings": self.pooling.model_dump(mode="json"), "labels": labels, "seed": self.seed}
        return {"pooling": said | device_key(self.device)}
