"""The loop of a fine-tuning: batches, evaluations on the validation rows, early stopping, divergence."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import InputError
from ...randomness import stream
from .token_sets import TokenSets
from .tracking import CurveLog
from .training_folder import SavedState, TrainingFolder
from .updates import Loss, ModelInTraining


@dataclass(frozen=True)
class Evaluation:
    """The training loss and the AUROC on validation rows at one step."""

    step: int  # updates so far
    loss: float  # mean of the training loss since the evaluation before
    auroc: float | None  # against the validation labels; None where they are none, or all of one class
    rate: float  # the learning rate of the last update


@dataclass
class TrainingStatus:
    """The counts and scores of a training so far, which a resumed one goes on from."""

    step: int = 0
    best_step: int = 0
    best_score: float | None = None  # by the criterion; higher is better
    best_auroc: float | None = None  # at that step
    best_alpha: float | None = None  # the weight of the student's own prediction in the update before
    since: int = 0  # evaluations without a better one
    stopped: bool = False
    seconds: float = 0.0  # before this process
    losses: list[float] = field(default_factory=list)  # since the evaluation before
    history: list[Evaluation] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """The fields, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "TrainingStatus":
        """The status whose `facts` these are."""
        return cls(**{**facts, "history": [Evaluation(**entry) for entry in facts["history"]]})


class TrainingLoop:
    """Trains a model batch by batch, evaluates it, and keeps the best one by the criterion of the sets."""

    def __init__(
        self,
        student: ModelInTraining,
        sets: TokenSets,
        loss: Loss,
        folder: TrainingFolder,
        report: Callable[[Evaluation], None] | None,
        track: CurveLog | None,
    ) -> None:
        self.student, self.sets, self.loss, self.folder = student, sets, loss, folder
        self.report, self.track = report, track
        self.settings = student.settings
        self.batches = math.ceil(len(sets.soft) / self.settings.batch_size)  # an epoch
        self.steps = self.batches * self.settings.epochs
        self.status = TrainingStatus()
        self.best: dict[str, torch.Tensor] | None = None  # what this process holds of it
        self.soft: torch.Tensor
        self.weight: torch.Tensor | None
        self._order: tuple[int, NDArray[np.intp]] = (-1, np.zeros(0, dtype=np.intp))  # an epoch, and its rows
        self.began = time.monotonic()
        rows, processes = len(sets.soft) // self.batches, student.processes.size
        if rows < processes:
            raise InputError(
                f"batches of {rows} rows are fewer than one for each of {processes} processes: raise batch_size, or "
                "start fewer"
            )
        loss.fit(sets.soft)
        loss.plan(self.steps)

    def run(self, state: SavedState | None, check: Callable[[], None]) -> None:
        """Train to the end, from `state` on if there is one; the best model is then the student's.

        `check` looks at the model before the first update.
        """
        check()
        self._begin(state)
        while not self.done:
            value, norm = self.student.update(**self.batch())
            self.refuse_divergence(value, norm)
            self.count(value)
        self._end()

    @property
    def done(self) -> bool:
        """Whether nothing is left to do: all updates are made, or nothing has become better for too long."""
        return self.status.stopped or self.status.step >= self.steps

    @property
    def rate(self) -> float:
        """The learning rate of the next update."""
        return self.settings.rate_at(self.status.step, self.steps)

    def rows(self, step: int) -> NDArray[np.intp]:
        """The training rows of an update, over all processes."""
        epoch, batch = divmod(step, self.batches)
        if self._order[0] != epoch:
            rows = stream(self.student.seed, "order of the rows", epoch).permutation(len(self.sets.soft))
            self._order = epoch, rows
        return np.array_split(self._order[1], self.batches)[batch]

    def batch(self) -> dict[str, Any]:
        """The arguments of the next update."""
        step = self.status.step
        return {
            "tokenized": self.sets.train,
            "soft": self.soft,
            "rows": self.rows(step),
            "loss": self.loss,
            "step": step,
            "rate": self.rate,
            "weight": self.weight,
            "conflict": self.sets.conflict,
        }

    def refuse_divergence(self, value: float, norm: float) -> None:
        """InputError for a loss, or a gradient's norm, that is not finite."""
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise self._diverged(f"the loss is {value:g} and its gradient's norm {norm:g}")

    def count(self, value: float) -> None:
        """Count an update with this loss; evaluate the model and write the state where it is time to."""
        status, rate = self.status, self.rate
        status.step += 1
        status.losses.append(value)
        if status.step % self.settings.eval_every == 0 or status.step == self.steps:
            self._evaluate(rate)
        self._keep_if_due()

    def _begin(self, state: SavedState | None) -> None:
        device = self.student.processes.device
        self.soft = torch.from_numpy(self.sets.soft).to(device)
        self.weight = None if self.sets.weight is None else torch.from_numpy(self.sets.weight).to(device)
        if state is not None:
            self._go_on_from(state)

    def _end(self) -> None:
        if self.best is not None and self.status.best_step < self.status.step:
            self.student.restore(self.best)

    def _keep_if_due(self) -> None:
        if self.folder.due():
            self.folder.keep(self._state)

    def _evaluate(self, rate: float) -> None:
        status, score, auroc = self.status, None, None
        if self.sets.val is not None and self.sets.judge is not None:
            margins = self.student.margins(self.sets.val)
            if not np.isfinite(margins).all():
                raise self._diverged("scores of validation rows are not finite")
            score, auroc = self.sets.judge.score(margins), self.sets.judge.auroc(margins)
        evaluation = Evaluation(status.step, float(np.mean(status.losses)), auroc, rate)
        status.losses.clear()
        status.history.append(evaluation)
        if self.loss.ramping and status.step < self.steps and score is not None:
            pass  # while the loss itself still changes, nothing is chosen and nothing is concluded
        elif score is None or status.best_score is None or score > status.best_score:
            status.best_step, status.best_score, status.best_auroc, status.since = status.step, score, auroc, 0
            status.best_alpha = self.loss.own_weight
            self.best = None if score is None else self.student.copied()
        else:
            status.since += 1
        status.stopped = self.settings.patience is not None and status.since >= self.settings.patience
        if self.track is not None:
            numbers = {"train/loss": evaluation.loss, "train/learning_rate": rate}
            self.track.log(numbers | ({} if auroc is None else {"val/auroc": auroc}), status.step)
        if self.report is not None:
            self.report(evaluation)

    def _state(self) -> SavedState:
        """The state between two updates."""
        facts = self.status.facts() | {"seconds": self.status.seconds + time.monotonic() - self.began}
        student = self.student
        tensors = {"now": student.gathered(student.copied()), "optimizer": student.optimizer_state()}
        if self.best is not None and self.status.best_step < self.status.step:
            tensors["best"] = student.gathered(self.best)
        return SavedState({"progress": facts, "loss": self.loss.state_dict()}, tensors)

    def _go_on_from(self, state: SavedState) -> None:
        self.status = TrainingStatus.from_facts(state.facts["progress"])
        self.loss.load_state_dict(state.facts["loss"])
        self.student.restore(self.student.held_of(state.tensors["now"]))
        self.student.restore_optimizer(state.tensors["optimizer"])
        if self.status.best_score is not None:
            self.best = self.student.held_of(state.tensors.get("best", state.tensors["now"]))

    def _diverged(self, what: str) -> InputError:
        status = self.status
        message = (
            f"fine-tuning diverged at step {status.step}: {what}; lower the learning rate ({self.settings.rate:g})"
        )
        step = status.step if self.best is None else status.best_step
        place = self.folder.keep_last_good(self.student.gathered(self.best or self.student.copied()), step)
        if place is None:
            return InputError(f"{message}; without a folder nothing is kept")
        return InputError(f"{message}; the trained weights of step {step} are in {place}")
