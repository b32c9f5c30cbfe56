"""The true labels that an experiment gives methods that declare them: an oracle's, those of weak-train, gold rows'."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from w2s_probes.labels.label_set import LabelSet

from ..lessons.lesson import Leak
from .gold_rows import GoldRows
from .row_sets import CONFLICT
from .token_probes import TokenView
from .trusted_rows import TrustedRows


class TrueLabels(TokenView):
    """The part of an experiment that reads truth, and refuses it to methods that have not said so."""

    if TYPE_CHECKING:
        truth: LabelSet | None
        trusted: TrustedRows | None
        gold: GoldRows | None

    def true_train(self) -> NDArray[np.float64]:
        """The true labels of the training rows (n_train,); InputError unless the method is declared an oracle."""
        return self._true("train")

    def true_val(self) -> NDArray[np.float64]:
        """The true labels of the validation rows (n_val,); InputError as above."""
        return self._true("val")

    def true_conflict(self) -> NDArray[np.float64]:
        """The labels of a conflict's rows, by their own task's truth; empty without rows. InputError as above."""
        return self._true(CONFLICT) if CONFLICT in self.rows or self.truth is None else np.empty(0)

    def _true(self, rows: str) -> NDArray[np.float64]:
        if self.truth is None:
            raise Leak("this method reads ground truth: declare it with `oracle=True`, and it will be marked so")
        return self.truth.values(self._ids(rows))

    def trusted_rows(self) -> TrustedRows:
        """Rows of weak-train with their true labels; InputError unless the method declares that it reads some."""
        if self.trusted is None:
            raise Leak("this method reads true labels of weak-train: declare it with `trusted=Trusted(...)`")
        return self.trusted

    def gold_rows(self) -> GoldRows:
        """A few training rows with their true labels; InputError unless the method declares that it reads some."""
        if self.gold is None:
            raise Leak("this method reads true labels of gold rows: declare it with `gold=GoldUse(...)`")
        return self.gold

    def _ids(self, name: str) -> NDArray[np.object_]:
        return self.rows[name]["id"].to_numpy(dtype=object)
