"""Fine-tunings as units of work that say where and when they were done. Workers import this: nothing heavy here."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Tuning:
    """A fine-tuning of a model's folder on texts with labels (n,), which scores other texts."""

    key: str
    model: Path
    texts: tuple[str, ...]
    labels: tuple[float, ...]
    scored: tuple[str, ...]
    settings: dict[str, Any]
    seed: int
    on_gpu: bool = True
    shared: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """In messages."""
        return f"fine-tuning {self.key}"

    def run(self) -> dict[str, Any]:
        """Do it."""
        from w2s_probes.losses import Objective
        from w2s_probes.students import FineTuning, Texts
        from w2s_probes.students.finetune import finetune

        began = time.time()
        done = finetune(
            self.model,
            Texts(self.texts, self.labels),
            predict={"scored": self.scored},
            settings=FineTuning(**self.settings),
            objective=Objective("logconf"),
            seed=self.seed,
        )
        gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
        scores = done.scores["scored"].tolist()
        return {"scores": scores, "pid": os.getpid(), "gpus": gpus, "began": began, "ended": time.time()}

    def packed(self) -> "Tuning":
        """As it is sent."""
        return self

    def unpacked(self, shared: tuple[Any, ...]) -> "Tuning":
        """As it was."""
        return self
