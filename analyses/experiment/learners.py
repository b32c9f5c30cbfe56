"""The operation that supervisor, ceiling and students share: train a model on rows, labels and a loss."""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from extract.models.source import ModelSource
from w2s_probes.errors import InputError
from w2s_probes.labels.label_set import LabelSet, Role
from w2s_probes.losses import LOSSES, LossName, Objective
from w2s_probes.students.finetune import finetune
from w2s_probes.students.finetuning.settings import Tracker
from w2s_probes.students.head import HeadStudent
from w2s_probes.students.texts import Texts

from ..recipe.schema import Training
from .activations import Activations
from .clock import first_process
from .result_cache import Arrays, Record, ResultCache, array_hash, code_hash, table_hash

TRAINED = "trained"
Scores = dict[str, NDArray[np.float64]]  # P(label = 1) of the rows of each named set
Note = Callable[[str], None]  # what is being done


@dataclass(frozen=True)
class Trained:
    """The scores of a trained model, and the point of its training that was chosen."""

    scores: Scores
    epoch: float | None = None  # of a head: the epoch that was chosen; of a fine-tuned model: the update
    alpha: float | None = None  # the weight of the student's own opinion at that point, in losses that have one

    def __getitem__(self, rows: str) -> NDArray[np.float64]:
        """P(label = 1) of a set of rows (n,)."""
        return self.scores[rows]


class Leak(InputError):
    """Ground truth would have reached what may see weak labels only."""


@dataclass(frozen=True)
class Examples:
    """Rows (id, text) and their labels, joined by id. The labels carry their role, which the firewall reads."""

    rows: pd.DataFrame
    labels: LabelSet

    @property
    def p(self) -> NDArray[np.float64]:
        """P(label = 1) of each row (n,)."""
        return self.labels.values(self.rows["id"].to_numpy(dtype=object))

    @property
    def description(self) -> dict[str, str]:
        """Hashes of the rows, in order, and of their labels."""
        return {"rows": table_hash(self.rows[["id", "text"]]), "labels": array_hash(self.p)}


@dataclass(frozen=True)
class Curves:
    """The folder in which a tracker draws the course of every fine-tuning."""

    track: Tracker
    folder: Path
    doing: Callable[[], str]  # the step that a fine-tuning is part of

    def next(self) -> Path:
        """The next free folder: named by the step, and numbered where a step trains several models."""
        name = re.sub(r"[^\w.-]+", "-", self.doing())
        numbered = (self.folder / (f"{name}-{number}" if number > 1 else name) for number in count(1))
        return next(path for path in numbered if not path.exists())


@dataclass(frozen=True)
class Learner:
    """A model and how it is trained: a head on its activations, LoRA, or all of its weights."""

    source: ModelSource
    training: Training
    activations: Activations | None  # for a head
    cache: ResultCache
    note: Note = field(default=lambda doing: None, compare=False)
    curves: Curves | None = field(default=None, compare=False)

    @property
    def description(self) -> dict[str, Any]:
        """The part of the cache key that model and training decide; rows, labels, loss and seed are the rest."""
        if self.activations is not None:
            return {"reads": self.activations.identity, "training": self.training.model_dump(mode="json")}
        return {"weights": self.source.weights, "training": self.training.model_dump(mode="json")}

    def describe(
        self, fit: Examples, stop: Examples, predict: Mapping[str, pd.DataFrame], *, loss: LossName, seed: int
    ) -> dict[str, Any]:
        """The cache key of `train`: all that decides its scores."""
        return {
            **self.description,
            "fit": fit.description,
            "stop": stop.description,
            "predict": {name: table_hash(rows[["id", "text"]]) for name, rows in predict.items()},
            "loss": [loss, code_hash(LOSSES[loss])],
            "seed": seed,
        }

    def train(
        self,
        fit: Examples,
        stop: Examples,
        predict: Mapping[str, pd.DataFrame],
        *,
        loss: LossName,
        seed: int,
        role: Role = "weak",
    ) -> Trained:
        """Train on `fit`, stop by `stop`, and score each set of `predict`; from the cache where it has the scores.

        The firewall: labels of another role than `role` are refused, so that nothing which is meant to see weak
        labels alone can be trained, or choose its best checkpoint, by the truth. Only the weak supervisor (on rows
        that no student sees), the ceiling, and methods that are declared oracles ask for the role `truth`.
        """
        for name, examples in (("trained on", fit), ("stopped by", stop)):
            if examples.labels.role != role:
                raise Leak(
                    f"a model that may see {role} labels only cannot be {name} labels of role "
                    f"{examples.labels.role!r}: declare the method an oracle"
                )
        described = self.describe(fit, stop, predict, loss=loss, seed=seed)

        def make() -> tuple[Arrays, Record]:
            if self.activations is not None:
                return self._head(self.activations, fit, stop, predict, loss, seed)
            return self._finetuned(fit, stop, predict, loss, seed, described)

        arrays, record = self.cache.get(TRAINED, described, make)
        scores = {name: np.asarray(arrays[name], dtype=np.float64) for name in predict}
        return Trained(scores, record.get("epoch"), record.get("alpha"))

    def _head(
        self,
        activations: Activations,
        fit: Examples,
        stop: Examples,
        predict: Mapping[str, pd.DataFrame],
        loss: LossName,
        seed: int,
    ) -> tuple[Arrays, Record]:
        training = self.training
        head = HeadStudent(
            loss,
            alpha=training.alpha,
            warm_up=training.warm_up,
            prior=training.prior,
            epochs=training.epochs,
            l2=training.l2,
            stop=training.stop,
            seed=seed,
        )
        head.fit(activations.of(fit.rows), fit.p, activations.of(stop.rows), stop.p)
        scores = {name: head.predict_proba(activations.of(rows))[:, 1] for name, rows in predict.items()}
        return dict(scores), {"epoch": head.n_epochs_, "alpha": head.alpha_}

    def _finetuned(
        self,
        fit: Examples,
        stop: Examples,
        predict: Mapping[str, pd.DataFrame],
        loss: LossName,
        seed: int,
        described: dict[str, Any],
    ) -> tuple[Arrays, Record]:
        folder = self.cache.path("unfinished", described).with_suffix("")
        done = finetune(
            self.source.folder,
            Texts(fit.rows["text"].tolist(), fit.p),
            Texts(stop.rows["text"].tolist(), stop.p),
            {name: rows["text"].tolist() for name, rows in predict.items()},
            settings=self.training.finetuning,
            objective=Objective(
                loss, alpha=self.training.alpha, warm_up=self.training.warm_up, prior=self.training.prior
            ),
            seed=seed,
            folder=folder,
            report=lambda evaluation: self.note(f"update {evaluation.step}"),
            track=self.curves.track if self.curves else None,
            curves=self.curves.next() if self.curves else None,
        )
        if first_process():  # which wrote it
            shutil.rmtree(folder, ignore_errors=True)  # the scores are what is kept
        return dict(done.scores), {"epoch": done.best_step, "alpha": done.best_alpha, "cut": done.cut}
