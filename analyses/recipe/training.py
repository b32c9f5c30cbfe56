"""How a model is trained: the recipe's `[student]`, and what a supervisor that is a model has of it."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from w2s_probes.calibration import CalibrationRule
from w2s_probes.students.finetuning.settings import FineTuning, Stop

from .calibration_keys import CalibratedOn
from .section import Count, KnownLoss, Section


class Training(Section):
    """The training of a model: a head on its activations, LoRA, all of its weights, or a model that says labels."""

    kind: Literal["head", "lora", "full", "lm"] = "head"  # lm: by the weights that `finetuning.kind` says
    alpha: float = Field(0.5, ge=0, le=1)  # the weight of the student's own opinion in losses that have one
    warm_up: float = Field(0.2, ge=0)  # of that weight: updates, or below 1 a share of them (Burns et al. 2023, 4.3)
    # The share of predictions that log-confidence calls 1: of the loss by default (a half, or the training labels'
    # mean), a number, or "batch", the mean weak label of each batch (EleutherAI's code).
    prior: Annotated[float, Field(gt=0, lt=1)] | Literal["batch"] | None = None
    stop: Stop = "auroc"  # what validation rows are read for: see `HeadStudent`
    l2: float = Field(0, ge=0)  # of a head: the penalty l2 · ‖w‖² on standardised inputs
    epochs: Count = 200  # of a head; those of fine-tuning stand in `finetuning`
    finetuning: FineTuning = FineTuning()

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, values: Any) -> Any:
        """`kind` and `stop` of fine-tuning are the student's own."""
        if isinstance(values, dict) and values.get("kind") in ("lora", "full", "lm"):
            inner = values.get("finetuning", {})
            inner = inner.model_dump() if isinstance(inner, FineTuning) else inner
            if isinstance(inner, dict):
                values = {name: inner[name] for name in ("stop",) if name in inner} | values
                shared = ("stop",) if values["kind"] == "lm" else ("kind", "stop")
                own = {name: values[name] for name in shared if name in values}
                return values | {"finetuning": inner | own}
        return values

    @model_validator(mode="after")
    def _penalty_of_a_head(self) -> "Training":
        if self.l2 and self.kind != "head":
            raise ValueError(f"l2 is the penalty of a head: with kind = {self.kind!r} set finetuning.weight_decay")
        return self

    @model_validator(mode="after")
    def _engine_of_models(self) -> "Training":
        if self.kind == "head" and self.finetuning.engine != "loop":
            raise ValueError(
                f"finetuning.engine = {self.finetuning.engine!r} is of kinds 'lora', 'full' and 'lm', and kind is "
                "'head': leave it out"
            )
        if self.kind == "lm" and self.finetuning.quantize is not None:
            raise ValueError("finetuning.quantize is of kind 'lora', and kind is 'lm': leave it out")
        return self

    @model_validator(mode="after")
    def _of_speakers(self) -> "Training":
        if self.kind != "lm" and self.finetuning.over != "labels":
            raise ValueError(f"finetuning.over is of kind 'lm', and kind is {self.kind!r}: leave it out")
        if self.kind == "lm" and self.finetuning.max_length is not None:
            raise ValueError(
                "finetuning.max_length cuts texts, and kind = 'lm' reads prompts, at whose end the answer stands: "
                "leave it out"
            )
        return self


class Student(Training):
    """The training of students and the ceiling."""

    loss: KnownLoss = "xent"  # of students that learn from filtered or relabelled sets, or in rounds
    calibrate: CalibrationRule | None = None  # to the weak labels of the validation rows, not to the truth
    calibrate_on: CalibratedOn = "weak"  # "gold": to the true labels of gold rows, which no student is taught then

    @property
    def training(self) -> Training:
        """The settings without the loss."""
        return Training(**{name: getattr(self, name) for name in Training.model_fields})
