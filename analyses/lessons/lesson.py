"""A lesson is all that a student is taught: rows, labels, a loss, a model and a seed. Its result is kept by content."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.code_hashes import code_hash
from w2s_probes.errors import InputError
from w2s_probes.labels.label_set import LabelSet, Role
from w2s_probes.losses import ExplicitConflict, LossName
from w2s_probes.losses.added import loss_code
from w2s_probes.losses.conflict import conflict_penalty
from w2s_probes.store.manifest import identity_key

from .learners import Learner
from .result_cache import array_hash, table_hash

CEILING_LOSS: LossName = "xent"
TRAINED, STUDENTS = "trained", "students"  # kinds of their results in the cache, and of the trained students there
Scores = dict[str, NDArray[np.float64]]  # P(label = 1) of the rows of each named set


@dataclass(frozen=True)
class Trained:
    """The scores of a trained model, and the point of its training that was chosen."""

    scores: Scores
    epoch: float | None = None  # of a head: the epoch that was chosen; of a fine-tuned model: the update
    alpha: float | None = None  # the weight of the student's own opinion at that point, in losses that have one

    def __getitem__(self, rows: str) -> NDArray[np.float64]:
        """P(label = 1) of a set of rows (n,)."""
        return self.scores[rows]


class Misuse(InputError):
    """A method's own code is wrong, which ends a run; what a method cannot do with some rows does not."""


class Leak(Misuse):
    """Ground truth would have reached what may see weak labels only."""


@dataclass(frozen=True)
class Examples:
    """Rows (id, text) and their labels, joined by id. The labels carry their role, which the firewall reads."""

    rows: pd.DataFrame
    labels: LabelSet

    @cached_property
    def p(self) -> NDArray[np.float64]:
        """P(label = 1) of each row (n,)."""
        return self.labels.values(self.rows["id"].to_numpy(dtype=object))

    def and_rows(
        self,
        rows: pd.DataFrame,
        labels: NDArray[np.float64],
        mask: NDArray[np.bool_] | None = None,
        weight: NDArray[np.float64] | None = None,
    ) -> "tuple[Examples, NDArray[np.bool_] | None, NDArray[np.float64] | None]":
        """These rows and others, with the mask and the weights of both: the others all count, with a weight of 1."""
        every: pd.DataFrame = pd.concat([self.rows, rows], ignore_index=True)
        both = LabelSet(every["id"].to_numpy(dtype=object), np.concatenate([self.p, labels]), self.labels.role)
        ones = np.ones(len(rows))
        masks = None if mask is None else np.concatenate([mask, ones.astype(bool)])
        return Examples(every, both), masks, None if weight is None else np.concatenate([weight, ones])


@dataclass(frozen=True)
class LessonConflict:
    """An explicit conflict: the truth of the rows to be taught, and its weight beside the lesson's loss."""

    truth: LabelSet
    alpha: float

    def of(self, rows: pd.DataFrame) -> ExplicitConflict:
        """What is added to the loss of these rows (n,)."""
        return ExplicitConflict(self.truth.values(rows["id"].to_numpy(dtype=object)) > 0.5, self.alpha)


@dataclass(frozen=True, eq=False)
class Lesson:
    """One model to be trained on `fit`, stopped by `stop`, which then scores each set of `predict`.

    The firewall: labels of another role than `role` are refused, so that nothing which is meant to see weak labels
    alone can be trained, or choose its best checkpoint, by the truth. Only the weak supervisor (on rows that no
    student sees), the ceiling, and methods that are declared oracles, or `trusted`, ask for the role `truth`.
    """

    learner: Learner
    fit: Examples  # with rows outside the mask: heads of one trial see its rows in one order
    stop: Examples
    predict: Mapping[str, pd.DataFrame]
    loss: LossName
    seed: int
    role: Role = "weak"
    mask: NDArray[np.bool_] | None = None  # (n,) rows that are taught; None: all
    weight: NDArray[np.float64] | None = None  # (n,) of the rows' losses, scaled to mean 1
    conflict: LessonConflict | None = None  # for a method that is declared an oracle alone
    stop_role: Role | None = None  # of the labels that stop it, where it is another: `truth` of gold rows
    gold: int = 0  # taught rows whose labels are the true ones of gold rows, under whichever role the others are
    start: "Lesson | None" = None  # whose student it goes on from: the same model and rows, other labels or mask
    step: str = field(default="", compare=False)  # whose lesson it is, for progress

    def __post_init__(self) -> None:
        stopped_by = ("stopped by", self.stop, self.stop_role or self.role)
        for name, examples, role in (("trained on", self.fit, self.role), stopped_by):
            if examples.labels.role != role:
                raise Leak(
                    f"a model that may see {role} labels only cannot be {name} labels of role "
                    f"{examples.labels.role!r}: declare the method an oracle"
                )
        if self.start is not None:
            self._refuse_start(self.start)
        if self.conflict is not None and self.conflict.truth.role != "truth":
            raise Misuse(f"a conflict is with the truth, and not with labels of role {self.conflict.truth.role!r}")
        for name, array in (("mask", self.mask), ("weight", self.weight)):
            if array is not None and np.shape(array) != (len(self.fit.rows),):
                raise InputError(
                    f"a lesson's {name} has the shape {np.shape(array)}: one value for each of the "
                    f"{len(self.fit.rows)} training rows is needed"
                )

    def _refuse_start(self, start: "Lesson") -> None:
        """Misuse for a student of another model, seed or rows, which training cannot go on from."""
        ids = [lesson.fit.rows["id"].tolist() for lesson in (self, start)]
        if self.seed != start.seed or self.learner.description != start.learner.description or ids[0] != ids[1]:
            raise Misuse("a lesson goes on from a student of the same model, seed and rows: mask those to be taught")

    def of_step(self, step: str) -> "Lesson":
        """The same lesson, called by the step that asks for it."""
        return replace(self, step=step)

    def with_student_kept(self) -> "Lesson":
        """The same lesson, whose trained student is put into the cache beside its scores."""
        return replace(self, learner=replace(self.learner, keeps=True))

    @property
    def taught_by(self) -> dict[str, Any]:
        """The origin of the labels, for a student's record: `gold` where true labels of gold rows are among them."""
        about: dict[str, Any] = {"role": "gold" if self.gold else self.role}
        if self.gold:
            about["gold_rows"] = self.gold
        return about if self.stop_role in (None, self.role) else about | {"stopped_by": "gold"}

    @property
    def taught(self) -> NDArray[np.bool_]:
        """The rows (n,) that are taught."""
        return np.ones(len(self.fit.rows), dtype=bool) if self.mask is None else self.mask

    @cached_property
    def description(self) -> dict[str, Any]:
        """All that decides the scores: the cache key.

        A head's batches are drawn from all rows of its trial, taught or not; a fine-tuning sees none but its own.
        """
        taught = self.taught
        rows = self.fit.rows if self.learner.reads_activations else self.fit.rows[taught]
        fit: dict[str, Any] = {"rows": table_hash(rows[["id", "text"]]), "labels": array_hash(self.fit.p[taught])}
        if self.learner.reads_activations and not taught.all():
            fit["taught"] = array_hash(taught)
        if self.weight is not None:
            fit["weight"] = array_hash(np.asarray(self.weight, dtype=np.float64)[taught])
        if (conflict := self.conflict) is not None and conflict.alpha:  # without weight it is none
            against = array_hash(conflict.of(self.fit.rows).truth[taught])
            fit["conflict"] = [conflict.alpha, against, code_hash(conflict_penalty)]
        return {
            **self.learner.description,
            "fit": fit,
            "stop": {"rows": table_hash(self.stop.rows[["id", "text"]]), "labels": array_hash(self.stop.p)},
            "predict": {name: table_hash(rows[["id", "text"]]) for name, rows in self.predict.items()},
            "loss": [self.loss, loss_code(self.loss)],
            "seed": self.seed,
            **({} if self.start is None else {"start": self.start.key}),
        }

    @cached_property
    def key(self) -> str:
        """A hash of the description: lessons of one key have one result."""
        return identity_key(self.description)

    @property
    def batch(self) -> str:
        """A hash of what lessons have in common whose heads are trained in one loop: model, rows and their order."""
        described = self.description
        rows = [described["fit"]["rows"], described["stop"]["rows"], described["predict"]]
        return identity_key({**self.learner.description, "rows": rows, "seed": self.seed})

    @property
    def student(self) -> Path:
        """The folder of the trained student in the cache, where its learner keeps it."""
        return self.learner.cache.path(STUDENTS, self.description).with_suffix("")

    def kept(self) -> Trained | None:
        """The result of an earlier time; None where the cache lacks it, or the student that is to be kept."""
        if self.learner.keeps and not self.student.is_dir():
            return None
        found = self.learner.cache.read(TRAINED, self.description)
        if found is None:
            return None
        arrays, record = found
        scores = {name: np.asarray(arrays[name], dtype=np.float64) for name in self.predict}
        return Trained(scores, record.get("epoch"), record.get("alpha"))

    def keep(self, trained: Trained, **more: Any) -> None:
        """Put the result into the cache."""
        record = {"epoch": trained.epoch, "alpha": trained.alpha, **more}
        self.learner.cache.write(TRAINED, self.description, dict(trained.scores), record)


def ceiling_lesson(
    learner: Learner, fit: Examples, stop: Examples, predict: Mapping[str, pd.DataFrame], seed: int
) -> Lesson:
    """The lesson of the ceiling, the student's twin that learns, and is stopped by, ground truth."""
    return Lesson(learner, fit, stop, predict, CEILING_LOSS, seed, role="truth")
