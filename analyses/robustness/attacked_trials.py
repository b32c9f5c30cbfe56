"""One task and seed under every attack: labels with its errors, and the students that the methods make of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.code_hashes import code_hash
from w2s_probes.errors import InputError
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.rows.folds import fold_numbers
from w2s_probes.rows.groups import groups_of

from ..experiment.blind_view import blind_view
from ..experiment.kept_methods import METHOD, kept_method, method_description, truth_of
from ..experiment.method import Method, run_method
from ..experiment.outcomes import Outcome
from ..experiment.row_sets import RowSets
from ..experiment.task_models import TaskModels
from ..experiment.view import Experiment
from ..lessons.engine import Rounds, Steps, side_by_side, together
from ..lessons.lesson import Scores
from ..lessons.result_cache import Arrays, Record, array_hash, table_hash
from ..recipe.schema import Recipe
from ..results.names import trial_key
from ..supervisors.simulated import strong_scores
from ..trial import Trial
from ..trial_steps import Step
from .attacks import OWN, TAUGHT_PARTS, Attack

FOLDS = 5  # of the supervisor's own labels: each is of rows that it did not learn
ATTACKED = "attacked"  # kind of labels with an attack's errors in the cache
OWN_LABELS = "the supervisor's own errors"


class _NoScores(dict[str, NDArray[np.float64]]):
    """The supervisor's scores of the rows that judge, which it has none of: an attack is labels of the rows taught."""

    def __missing__(self, rows: str) -> NDArray[np.float64]:
        raise InputError(
            "it reads the supervisor's scores of the rows that judge, and an attack is hard labels of the rows taught"
        )


@dataclass(frozen=True)
class AttackedTrial:
    """A task and seed; its row sets are parts of weak-train (`divided`)."""

    recipe: Recipe
    task: str
    seed: int
    sets: RowSets
    attacks: list[Attack]
    methods: Mapping[str, Method]
    models: TaskModels
    _strong: dict[str, Scores] = field(default_factory=dict, repr=False, compare=False)

    @property
    def key(self) -> str:
        """Its name in messages and in the record."""
        return trial_key(self.task, self.seed)

    def title(self, attack: Attack, student: str) -> str:
        """A student's name in progress lines."""
        return f"{self.key}: {attack.name}: {student}"

    @property
    def needs_own(self) -> bool:
        """Whether the supervisor's own errors are among the attacks."""
        return any(attack.family == OWN for attack in self.attacks)

    @cached_property
    def taught(self) -> dict[str, pd.DataFrame]:
        """The parts that get labels: those that teach and those that stop."""
        return {part: self.sets.tables[part] for part in TAUGHT_PARTS}

    @cached_property
    def _folds(self) -> tuple[pd.DataFrame, NDArray[np.intp]]:
        """The taught rows, and the fold of each."""
        both = pd.concat(list(self.taught.values()), ignore_index=True)
        apart = np.arange(len(both), dtype=np.float32)[:, None]  # no two texts are equal
        truth = both["label"].to_numpy(dtype=np.float64)
        return both, fold_numbers(apart, truth, groups=groups_of(both), folds=FOLDS, seed=self.seed)

    @property
    def own_trials(self) -> list[Trial]:
        """For each fold the recipe's supervisor, taught the others, which labels it as if it were strong-train."""
        both, folds = self._folds
        plain = self.recipe.model_copy(update={"keep_students": False})
        trials = []
        for fold in range(FOLDS):
            rest, rows = (both[chosen].reset_index(drop=True) for chosen in (folds != fold, folds == fold))
            drawn = RowSets(rest, rows, rows, rows)
            trials.append(Trial(plain, self.task, self.seed, drawn, {}, self.models, self.models))
        return trials

    def own_steps(self) -> Steps[Scores]:
        """The recipe's supervisor's P(label = 1) of the taught parts, each row by one that did not learn it."""
        both, folds = self._folds
        found = yield from side_by_side([trial.weak_steps() for trial in self.own_trials])
        p = np.empty(len(both))
        for fold, labels in enumerate(found):
            p[folds == fold] = labels["train"]
        cut = len(self.taught["train"])
        return {"train": p[:cut], "val": p[cut:]}

    def supervised(self) -> Rounds[Scores]:
        """The supervisor's own labels, where an attack reads them; InputError where it gives none."""
        if not self.needs_own:
            return {}
        title = f"{self.key}: {OWN_LABELS}"
        labels = (yield from together({title: self.own_steps()}, self.models.clock))[title]
        if isinstance(labels, InputError):
            raise labels
        return labels

    def labels(self, attack: Attack, own: Scores) -> Scores:
        """Labels of the taught parts with the errors of an attack; kept, since probes may decide them."""
        described = {
            "attack": [attack.family, attack.rate],
            "rows": {part: table_hash(table) for part, table in self.taught.items()},
            "truth": [array_hash(table["label"].to_numpy(dtype=float)) for table in self.taught.values()],
            "own": {part: array_hash(p) for part, p in own.items()} if attack.family == OWN else None,
            "strong": self.models.activations(self.recipe.strong).identity if attack.of_strong else None,
            "code": [code_hash(strong_scores), code_hash(Attack.labels)],
            "seed": self.seed,
        }

        def make() -> tuple[Arrays, Record]:
            strong = self._strong_scores() if attack.of_strong else {}
            return dict(attack.labels(self.taught, own, strong, self.seed)), {}

        return dict(self.models.cache.get(ATTACKED, described, make)[0])

    def _strong_scores(self) -> Scores:
        """Scores by a probe of the strong model that learned the truth of the rows taught, out of sample there."""
        if not self._strong:
            apart = replace(self.sets, tests={})
            self._strong[self.key] = strong_scores(apart, self.models, self.recipe.strong, self.seed)
        return self._strong[self.key]

    def views(self, labels: Mapping[Attack, Scores]) -> Iterator[tuple[Attack, Experiment]]:
        """What methods see under each attack: the same rows and activations, and the attack's labels."""
        base: Experiment | None = None
        ids = np.concatenate([table["id"].to_numpy(dtype=object) for table in self.taught.values()])
        for attack, given in labels.items():
            if base is None:
                seen = blind_view(self.recipe, self.sets, given, self.models, self.seed)
                base = replace(seen, weak_scores=_NoScores())
                yield attack, base
                continue
            weak = LabelSet(ids, np.concatenate([given[part] for part in TAUGHT_PARTS]), "weak")
            yield attack, replace(base, weak=weak, shared=base)

    def steps(self, labels: Mapping[Attack, Scores]) -> Iterator[tuple[Attack, Step]]:
        """A step for each attack and method."""
        truth, clock = truth_of(self.sets), self.models.clock
        for attack, view in self.views(labels):
            for name, method in self.methods.items():
                assemble = partial(run_method, name, method, view, truth)
                described = partial(method_description, name, method, view, self.sets)
                run = partial(kept_method, described, assemble, view.cache, clock)
                yield attack, Step(name, METHOD, described, run, assemble if method.students else None)

    def run(self) -> "Rounds[AttackedStudents]":
        """Make labels, then every student under every attack."""
        own = yield from self.supervised()
        labels = {attack: self.labels(attack, own) for attack in self.attacks}
        steps = {(attack, step.name): step.run() for attack, step in self.steps(labels)}
        named = {self.title(*key): step for key, step in steps.items()}
        results = yield from together(named, self.models.clock)
        return AttackedStudents(self, labels, {key: results[self.title(*key)] for key in steps})


@dataclass(frozen=True)
class AttackedStudents:
    """The labels of a trial's attacks, and every student's outcome, or the reason why there is none."""

    trial: AttackedTrial
    labels: Mapping[Attack, Scores]
    outcomes: Mapping[tuple[Attack, str], Outcome | InputError]

    @property
    def failed(self) -> dict[str, str]:
        """The students that some attack leaves without a result, each with the first reason."""
        reasons: dict[str, str] = {}
        for (attack, student), outcome in self.outcomes.items():
            if isinstance(outcome, InputError):
                reasons.setdefault(student, f"{attack.name}: {outcome}")
        return reasons

    def scores(self, attack: Attack, student: str, rows: str) -> NDArray[np.float64]:
        """P(label = 1) of a set of rows: (n,), or (draws, n) of a control of several draws."""
        outcome = self.outcomes[attack, student]
        assert isinstance(outcome, Outcome)  # `failed` names the others, which are left out
        return outcome.scores[rows]
