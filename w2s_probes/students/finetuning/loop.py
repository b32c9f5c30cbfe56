"""The loop of a fine-tuning: batches, looks at the validation rows, early stopping, divergence."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...checkpoints.tokens import refuse_unknown_tokens, token_limit
from ...errors import InputError
from ...randomness import stream
from ..stopping import Criterion
from ..texts import Texts, Tokenized, tokenize
from .classifier import Checkpoint
from .settings import FineTuning
from .tracking import Track
from .training_folder import Folder, State
from .updates import Loss, Student


@dataclass(frozen=True)
class Look:
    """One evaluation."""

    step: int  # updates so far
    loss: float  # mean of the training loss since the last look
    auroc: float | None  # against the validation labels; None where they are none, or all of one class
    rate: float  # the learning rate of the last update


@dataclass(frozen=True)
class Sets:
    """Every text as tokens."""

    train: Tokenized
    soft: NDArray[np.float64]
    val: Tokenized | None
    judge: Criterion | None  # by the validation labels; None where they cannot judge
    predict: dict[str, Tokenized]

    @classmethod
    def tokenized(
        cls,
        checkpoint: Checkpoint,
        model: Any,
        train: Texts,
        val: Texts | None,
        predict: Mapping[str, Sequence[str]],
        settings: FineTuning,
    ) -> "Sets":
        limit = token_limit(checkpoint.tokenizer, settings.max_length, checkpoint.window(model))
        known = int(model.get_input_embeddings().weight.shape[0])

        def tokenized(texts: Sequence[str], what: str) -> Tokenized:
            result = tokenize(checkpoint.tokenizer, texts, limit, what)
            refuse_unknown_tokens(str(checkpoint.folder), result.rows, known, lambda row: f"{what}: row {row}")
            return result

        judge = None if val is None else Criterion.of(settings.stop, val.soft)
        return cls(
            tokenized(train.texts, "train"),
            train.soft,
            tokenized(val.texts, "val") if val is not None and judge else None,
            judge,
            {name: tokenized(texts, f"predict {name!r}") for name, texts in predict.items()},
        )

    @property
    def all(self) -> dict[str, Tokenized]:
        return {"train": self.train, **({"val": self.val} if self.val else {}), **self.predict}

    @property
    def cut(self) -> dict[str, int]:
        return {name: tokenized.cut for name, tokenized in self.all.items()}

    @property
    def tokens(self) -> set[int]:
        """Every token that occurs."""
        return {int(i) for t in self.all.values() if t.rows for i in np.unique(np.concatenate(t.rows))}


@dataclass
class Progress:
    """Where a training stands, in numbers."""

    step: int = 0
    best_step: int = 0
    best_score: float | None = None  # by the criterion; higher is better
    best_auroc: float | None = None  # at that step
    best_alpha: float | None = None  # the weight of the student's own opinion in the update before
    since: int = 0  # looks without a better one
    stopped: bool = False
    seconds: float = 0.0  # before this process
    losses: list[float] = field(default_factory=list)  # since the last look
    history: list[Look] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """Fit for JSON."""
        return asdict(self)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Progress":
        """From `facts`."""
        return cls(**{**facts, "history": [Look(**look) for look in facts["history"]]})


class Training:
    """The loop over batches and looks."""

    def __init__(
        self,
        student: Student,
        sets: Sets,
        loss: Loss,
        kept: Folder,
        report: Callable[[Look], None] | None,
        track: Track | None,
    ) -> None:
        self.student, self.sets, self.loss, self.kept = student, sets, loss, kept
        self.report, self.track = report, track
        self.settings = student.settings
        self.batches = math.ceil(len(sets.soft) / self.settings.batch_size)  # an epoch
        self.steps = self.batches * self.settings.epochs
        self.progress = Progress()
        self.best: dict[str, torch.Tensor] | None = None
        self.began = time.monotonic()
        if len(sets.soft) // self.batches < student.team.size:
            raise InputError(
                f"batches of {len(sets.soft) // self.batches} rows are fewer than one for each of {student.team.size} "
                "processes: raise batch_size, or start fewer"
            )
        loss.fit(sets.soft)
        loss.plan(self.steps)

    def run(self, state: State | None) -> None:
        """Train to the end, from `state` on if there is one; the best model is then the student's."""
        if state is not None:
            self._go_on_from(state)
        soft, now, order = torch.from_numpy(self.sets.soft).to(self.student.team.device), self.progress, self._order(0)
        while now.step < self.steps and not now.stopped:
            epoch, batch = divmod(now.step, self.batches)
            if batch == 0 or now.step == (state.facts["progress"]["step"] if state else 0):
                order = self._order(epoch)
            rate = self.settings.rate_at(now.step, self.steps)
            rows = np.array_split(order, self.batches)[batch]
            value, norm = self.student.update(self.sets.train, soft, rows, self.loss, step=now.step, rate=rate)
            if not (math.isfinite(value) and math.isfinite(norm)):
                raise self._diverged(f"the loss is {value:g} and its gradient's norm {norm:g}")
            now.step += 1
            now.losses.append(value)
            if now.step % self.settings.eval_every == 0 or now.step == self.steps:
                self._look(rate)
            if self.kept.due():
                self.kept.keep(self._state)
        if self.best is not None and now.best_step < now.step:
            self.student.restore(self.best)

    def _order(self, epoch: int) -> NDArray[np.intp]:
        return stream(self.student.seed, "order of the rows", epoch).permutation(len(self.sets.soft))

    def _look(self, rate: float) -> None:
        now, score, area = self.progress, None, None
        if self.sets.val is not None and self.sets.judge is not None:
            margins = self.student.margins(self.sets.val)
            if not np.isfinite(margins).all():
                raise self._diverged("scores of validation rows are not finite")
            score, area = self.sets.judge.score(margins), self.sets.judge.auroc(margins)
        look = Look(now.step, float(np.mean(now.losses)), area, rate)
        now.losses.clear()
        now.history.append(look)
        if self.loss.ramping and now.step < self.steps and score is not None:
            pass  # while the loss itself still changes, nothing is chosen and nothing is concluded
        elif score is None or now.best_score is None or score > now.best_score:
            now.best_step, now.best_score, now.best_auroc, now.since = now.step, score, area, 0
            now.best_alpha = self.loss.own_weight
            self.best = None if score is None else self.student.copied()
        else:
            now.since += 1
        now.stopped = self.settings.patience is not None and now.since >= self.settings.patience
        if self.track is not None:
            numbers = {"train/loss": look.loss, "train/learning_rate": rate}
            self.track.log(numbers | ({} if area is None else {"val/auroc": area}), now.step)
        if self.report is not None:
            self.report(look)

    def _state(self) -> State:
        """Called on the first process alone, between updates."""
        now = self.progress.facts() | {"seconds": self.progress.seconds + time.monotonic() - self.began}
        tensors = {"now": self.student.copied(), "optimizer": self.student.optimizer_state()}
        if self.best is not None and self.progress.best_step < self.progress.step:
            tensors["best"] = self.best
        return State({"progress": now, "loss": self.loss.state_dict()}, tensors)

    def _go_on_from(self, state: State) -> None:
        self.progress = Progress.of(state.facts["progress"])
        self.loss.load_state_dict(state.facts["loss"])
        self.student.restore(state.tensors["now"])
        self.student.restore_optimizer(state.tensors["optimizer"])
        if self.progress.best_score is not None:
            self.best = state.tensors.get("best", state.tensors["now"])

    def _diverged(self, what: str) -> InputError:
        now = self.progress
        found = f"fine-tuning diverged at step {now.step}: {what}; lower the learning rate ({self.settings.rate:g})"
        step = now.step if self.best is None else now.best_step
        place = self.kept.keep_last_good(self.best or self.student.copied(), step)
        if place is None:
            return InputError(f"{found}; without a folder nothing is kept")
        return InputError(f"{found}; the trained weights of step {step} are in {place}")
