"""The outcomes of one task and seed beside the truth, and how those of several seeds belong together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.rows.groups import groups_of

from ..experiment.outcomes import Outcome
from ..experiment.row_sets import OTHER_TEST
from .names import TEST


@dataclass(frozen=True)
class TrialResult:
    """The outcomes of all methods for one task and seed, and the truth that evaluates them."""

    test: pd.DataFrame  # id, label
    candidates: pd.DataFrame | None  # question, label
    outcomes: Mapping[str, Outcome]  # weak and ceiling beside the methods
    oracles: frozenset[str]  # those that read ground truth to train or to choose
    seed: int
    layer: int
    ceilings: Mapping[str, str] = field(default_factory=dict)  # of methods that have one of their own
    tests: Mapping[str, pd.DataFrame] = field(default_factory=dict)  # other test sets by name: id, label
    subsets: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)  # of the test rows (n_test,), by name
    base: str = ""  # the same supervisor without what it read beside the rows; empty where it read none

    @property
    def test_sets(self) -> list[str]:
        """The names of the test sets, the task's own first."""
        return [TEST, *self.tests, *self.subsets]

    def on(self, test_set: str) -> "TrialResult":
        """The result on one of the test sets; methods that have not scored it are not in it."""
        if test_set == TEST:
            return replace(self, tests={}, subsets={})
        if test_set in self.subsets:
            test, name, chosen = self.test[self.subsets[test_set]], TEST, self.subsets[test_set]
        else:
            test, name = self.tests[test_set], OTHER_TEST + test_set
            chosen = np.ones(len(test), dtype=bool)
        outcomes = {
            method: replace(
                outcome,
                scores={TEST: outcome.scores[name][..., chosen]},
                alphas={TEST: outcome.alphas[name][chosen]} if name in outcome.alphas else {},
            )
            for method, outcome in self.outcomes.items()
            if name in outcome.scores
        }
        own = {method: ceiling for method, ceiling in self.ceilings.items() if {method, ceiling} <= outcomes.keys()}
        rows = test.reset_index(drop=True)
        return replace(self, test=rows, candidates=None, outcomes=outcomes, ceilings=own, tests={}, subsets={})

    def counts_from_base(self, name: str) -> bool:
        """Whether a method has a PGR counted from the base, too."""
        return self.base not in ("", name) and self.base in self.outcomes

    @property
    def groups(self) -> NDArray[np.object_] | None:
        """The groups (n_test,) of related test rows; None where no two rows are related."""
        return groups_of(self.test)

    @property
    def truth(self) -> NDArray[np.float64]:
        """The true labels of the test rows (n_test,)."""
        return self.test["label"].to_numpy(dtype=np.float64)

    @property
    def scores(self) -> dict[str, NDArray[np.float64]]:
        """P(label = 1) of the test rows by each method: (n_test,), or (draws, n_test)."""
        return {name: outcome.scores["test"] for name, outcome in self.outcomes.items()}


def by_seeds(runs: Sequence[TrialResult]) -> list[tuple[list[TrialResult], list[str]]]:
    """The methods by the set of seeds that have them and the ceiling of their own, with the results of these seeds.

    Where no seed has both, by the seeds that have the method.
    """
    found: dict[tuple[int, ...], list[str]] = {}
    own = {name: ceiling for run in runs for name, ceiling in run.ceilings.items()}
    for name in dict.fromkeys(name for run in runs for name in run.scores):
        having = [i for i, run in enumerate(runs) if name in run.scores]
        judged = [i for i in having if own.get(name, name) in runs[i].scores]
        found.setdefault(tuple(judged or having), []).append(name)
    return [([runs[i] for i in seeds], names) for seeds, names in found.items()]
