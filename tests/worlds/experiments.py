"""Experiments on synthetic activations, without a model."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyses.experiment.gold_rows import GoldRows, gold_order
from analyses.experiment.method import run_method
from analyses.experiment.outcomes import Outcome
from analyses.experiment.trusted_rows import TrustedRows
from analyses.experiment.view import Experiment
from analyses.lessons.clock import Clock
from analyses.lessons.engine import Answers, Here, Steps, Teacher, drive, together
from analyses.lessons.learners import Learner
from analyses.lessons.lesson import Lesson, Trained
from analyses.lessons.result_cache import ResultCache
from analyses.lessons.teaching import Taught
from analyses.methods import find_method
from analyses.recipe.asking import AskedAs
from analyses.recipe.gold import Gold
from analyses.recipe.probe_values import Probes
from analyses.recipe.read import RECIPES, read_recipe
from analyses.recipe.schema import Recipe
from analyses.recipe.training import Training
from extract.asking.shots import Shot
from tests.conftest import planted
from tests.worlds.fusing import GivenFusing
from w2s_probes.errors import InputError
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.store import TokenActivations

T = TypeVar("T")
SMALL = ["data.n_train=300", "data.n_val=100", "data.n_test=300", "weak.n_truth=150", "n_boot=200", "probes.knn_k=20"]
SMALL += ["seeds=[0]", "probes.topo_k=20", 'data.tasks=["miniature_price"]', "student.epochs=40"]


def small_recipe(*settings: str) -> Recipe:
    """The demo on one task and few rows."""
    return read_recipe(RECIPES / "demo.toml", [*SMALL, *settings])


@dataclass
class GivenActivations:
    """Stands in for `Activations`: numbers by row id."""

    by_id: dict[str, NDArray[np.float32]]
    identity: dict[str, Any] = field(default_factory=lambda: {"layers": [1]})

    @property
    def index(self) -> int:
        (layer,) = self.identity["layers"]
        return int(layer)

    def ensure(self) -> None:
        """All are there."""

    def of(self, rows: pd.DataFrame) -> NDArray[np.float32]:
        return np.stack([self.by_id[row_id] for row_id in rows["id"]])

    def tokens(self, rows: pd.DataFrame) -> TokenActivations:
        """Three tokens a row: its numbers, half of them, and none of them."""
        X = self.of(rows)
        values = np.stack([X, X / 2, 0 * X], axis=1).reshape(-1, X.shape[1])
        ids = rows["id"].to_numpy(dtype=object)
        return TokenActivations(values, np.arange(0, len(values) + 1, 3), np.zeros(len(values), np.int32), ids)


@dataclass
class GivenPairs:
    """Stands in for `PairActivations`: all columns have the first number, which tells the label, with another sign."""

    given: GivenActivations
    identity: dict[str, Any] = field(default_factory=lambda: {"contrast": ["{text} yes", "{text} no"]})

    def of(self, rows: pd.DataFrame) -> NDArray[np.float32]:
        X = self.given.of(rows)
        return np.hstack([X + X[:, :1], X - X[:, :1]])


@dataclass
class GivenOpinions:
    """Stands in for `Opinions`: what a model would say that reads the first number of a row; shots change nothing."""

    given: GivenActivations
    asked: AskedAs = field(default_factory=lambda: AskedAs(n_shots=4))
    description: dict[str, Any] = field(default_factory=dict)

    def of(self, sets: dict[str, pd.DataFrame], shots: Sequence[Shot] = ()) -> tuple[dict[str, NDArray[Any]], float]:
        return {name: 1 / (1 + np.exp(2 - self.given.of(rows)[:, 0])) for name, rows in sets.items()}, 0.5


def experiment(folder: Path, **more: Any) -> Experiment:
    """300 training rows of two clusters with a fifth of the weak labels wrong, 100 to stop by, 200 to judge.

    Beside them are 60 of a conflict, whose labels of another task are those of `truth_of_planted`.
    """
    sets = {
        "train": planted(n=300, noise=0.2),
        "val": planted(n=100, noise=0.2, seed=1),
        "test": planted(n=200, seed=2),
        "conflict": planted(n=60, seed=3),
    }
    X, weak = more.pop("X_train", sets["train"].X), more.pop("weak_train", sets["train"].weak)
    groups = more.pop("groups", None)
    rows: dict[str, pd.DataFrame] = {}
    by_id: dict[str, NDArray[np.float32]] = {}
    for name, data in sets.items():
        ids = [f"{name}-{i}" for i in range(len(data.X))]
        rows[name] = pd.DataFrame({"id": ids, "text": [f"text {i}" for i in ids], "group": ids})
        by_id |= dict(zip(ids, X if name == "train" else data.X, strict=True))
    if groups is not None:
        rows["train"]["group"] = groups
    by_id |= {f"weak-{i}": x for i, x in enumerate(planted(n=200, seed=3).X)}
    both = np.concatenate([rows["train"]["id"], rows["val"]["id"]])
    given: Any = GivenActivations(by_id)
    noise = np.random.default_rng(6)
    noisy: Any = GivenActivations(
        {name: x + noise.normal(size=x.shape).astype(np.float32) for name, x in by_id.items()}, {"layers": [2]}
    )
    source: Any = None
    learner = Learner(source, Training(epochs=40), given, ResultCache(folder))
    fields: dict[str, Any] = {
        "rows": rows,
        "weak": LabelSet(both, np.concatenate([weak, sets["val"].weak])),
        "activations": given,
        "tokens": given,
        "pairs": GivenPairs(given),
        "layer_activations": (given, noisy),
        "student": learner,
        "loss": "xent",
        "probes": Probes(knn_k=20, topo_k=20),
        "seed": 0,
        "cache": ResultCache(folder),
        "intermediate": (learner,),
        "weak_scores": {"test": supervisor_at_test()},
        "weak_activations": given,
        "opinions": GivenOpinions(given),
        "fusing": GivenFusing(given),
        "disagreement": raters_at_training(),
        "by_layer": {1: learner, 2: learner},
    }
    return Experiment(**fields | more)


def supervisor_at_test() -> NDArray[np.float64]:
    """P(label = 1) of the test rows by a supervisor that is mostly right, and surer where it is."""
    truth, noise = planted(n=200, seed=2).truth, np.random.default_rng(4).normal(size=200)
    return np.asarray(1 / (1 + np.exp(-(3 * (2 * truth - 1) + 2 * noise))))


def raters_at_training() -> NDArray[np.float64]:
    """The disagreement of raters about the training rows: larger on the whole where the weak label is wrong."""
    data = planted(n=300, noise=0.2)
    return np.asarray(np.random.default_rng(5).uniform(0, 0.3, 300) + 0.2 * (data.weak != data.truth))


def truth_of_planted() -> LabelSet:
    """The true labels of `experiment`'s training and validation rows, and another task's of the conflict's."""
    sizes = {"train": 300, "val": 100, "conflict": 60}
    ids = [f"{name}-{i}" for name, size in sizes.items() for i in range(size)]
    other = (np.arange(60) // 2 % 2).astype(float)  # neither with the clusters nor against them
    truth = np.concatenate([planted(n=300).truth, planted(n=100, seed=1).truth, other])
    return LabelSet(np.array(ids, dtype=object), truth, "truth")


def trusted_of_planted(*, turned: bool = False) -> TrustedRows:
    """200 rows of weak-train, of which the supervisor holds out 40 and scores them better than chance.

    `turned` labels are the wrong ones.
    """
    data, ids = planted(n=200, noise=0.3, seed=3), [f"weak-{i}" for i in range(200)]
    rows = pd.DataFrame({"id": ids, "text": [f"text {i}" for i in ids], "group": ids})
    held = np.arange(200) >= 160
    truth = 1 - data.truth if turned else data.truth
    labels = LabelSet(np.array(ids, dtype=object), truth, "truth")
    return TrustedRows(rows, held, np.where(held, 0.2 + 0.6 * data.weak, np.nan), labels)


def gold_of_planted(made: Experiment, settings: Gold | None = None) -> GoldRows:
    """The training rows of `experiment` as gold rows, 60 unless a method says how many."""
    table, settings = made.rows["train"], settings or Gold(n=[60])
    order, truth = gold_order(table, 0, "planted"), planted(n=300).truth
    labels = LabelSet(table["id"].to_numpy(dtype=object), truth, "truth")
    return GoldRows(table, order, order, labels, settings)


class Untaught:
    """Stands in for a teacher: students learn nothing, and the lessons asked for can be looked at."""

    def __init__(self) -> None:
        self.lessons: list[Lesson] = []
        self._answers: Answers = {}

    def ask(self, lessons: Iterable[Lesson]) -> None:
        for lesson in lessons:
            self.lessons.append(lesson)
            scores = {name: np.linspace(0, 1, len(rows)) for name, rows in lesson.predict.items()}
            self._answers[lesson.key] = Taught(Trained(scores, 3, 0.5), 0.0)

    def answers(self) -> Answers:
        return self._answers


def completed(steps: Steps[T], teacher: Teacher | None = None) -> T:
    """The result of a step, its lessons taught in this process unless another teacher is given."""
    clock = Clock()
    result = drive(together({"step": steps}, clock), teacher or Here(clock))["step"]
    if isinstance(result, InputError):
        raise result
    return result


def outcome_by(name: str, made: Experiment, teacher: Teacher | None = None) -> Outcome:
    """The outcome of a method on planted data, for which oracles get the truth."""
    true = truth_of_planted(), trusted_of_planted(), gold_of_planted(made)
    return completed(run_method(name, find_method(name), made, *true), teacher)


def taught(lesson: Lesson) -> Trained:
    """The result of one lesson."""

    def step() -> Steps[Trained]:
        (result,) = yield [lesson]
        return result

    return completed(step())
