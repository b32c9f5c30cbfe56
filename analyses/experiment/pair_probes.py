"""Contrast pairs in a trial: both sides of each row, read by the strong model, and what probes see of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from extract.tasks.contrast import contrast_rows
from w2s_probes.probes import Probe
from w2s_probes.probes.registry import PROBES

from ..lessons.activations import Activations
from ..lessons.lesson import Misuse, Scores
from .token_probes import TokenView


@dataclass(frozen=True)
class PairActivations:
    """A model's activations of both sides of rows, by the templates of a task."""

    sides: Activations  # of the rows ID+ and ID-, in stores that no other templates share
    templates: tuple[str, str]

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides a pair's numbers, beside its row's text."""
        return {"contrast": list(self.templates), "activations": self.sides.identity}

    def of(self, rows: pd.DataFrame) -> NDArray[np.float32]:
        """[x⁺, x⁻] (n, 2 · width) of these rows, in their order."""
        both = self.sides.of(contrast_rows(rows, self.templates))
        return np.hstack([both[: len(rows)], both[len(rows) :]])


class PairView(TokenView):
    """The part of an experiment that contrast pairs are: `Experiment` has the fields."""

    if TYPE_CHECKING:
        pairs: PairActivations | None

    def read_by(self, probe: str, name: str) -> NDArray[np.float32]:
        """A set of rows as a probe reads them: activations (n, width), or pairs (n, 2 · width)."""
        return self.paired(name) if PROBES[probe].pairs else self._vectors(name)

    def fitted_scores(self, name: str, probe: Probe, labels: NDArray[np.float64]) -> Scores:
        """P(label = 1) of the sets that probes score, by a probe of this name that is fitted to labels (n_train,)."""
        fitted = probe.fit(self.read_by(name, "train"), labels)
        return {rows: fitted.predict_proba(self.read_by(name, rows))[:, 1] for rows in self.read_by_probes}

    def paired(self, name: str) -> NDArray[np.float32]:
        """[x⁺, x⁻] (n, 2 · width) of a set of rows; an error for a method that does not declare `pairs`."""
        if self.pairs is None:
            raise Misuse("a method reads contrast pairs, which it has not declared: add `pairs=True` to its `Method`")
        if name not in self._paired:
            self._paired[name] = self.pairs.of(self.rows[name])
        return self._paired[name]

    def pair_key(self, probe: str) -> dict[str, Any]:
        """The part of a cache key that the pairs of a probe decide; nothing for one of single vectors."""
        return {"pairs": self.pairs.identity} if PROBES[probe].pairs and self.pairs is not None else {}

    @cached_property
    def _paired(self) -> dict[str, NDArray[np.float32]]:
        return {}
