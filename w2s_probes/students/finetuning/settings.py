"""The settings of a fine-tuning; read by recipes, and so without torch."""

from math import cos, pi
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["lora", "full"]
Precision = Literal["auto", "float32", "bfloat16"]
Over = Literal["labels", "vocabulary"]
Tracker = Literal["tensorboard", "wandb", "trackio"]
Engine = Literal["loop", "trainer"]
Quantized = Literal["nf4"]

Stop = Literal["auroc", "log_loss", "agreement"]  # what makes a point of a training the best: `stopping.Criterion`
STOPS: tuple[Stop, ...] = get_args(Stop)

STUDENT_RECORD, STUDENT_HEAD = "student.json", "head.safetensors"  # files of a student's folder
STUDENT_PREDICTIONS, STUDENT_MODEL = "predictions.jsonl", "model"  # the last is a folder

# LoRA's is that of EleutherAI's strong students; training every weight wants steps some four times smaller.
RATES: dict[Kind, float] = {"lora": 8e-5, "full": 2e-5}


NOT_OF_HEADS = {"over", "engine", "accelerate", "quantize"}  # keys that no head's results hang on


class FineTuning(BaseModel):
    """The settings of `finetune`; the defaults are those of EleutherAI's weak-to-strong experiments.

    >>> settings = FineTuning(kind="full", warm_up=2)
    >>> settings.rate
    2e-05
    >>> [round(1e5 * settings.rate_at(step, 40), 2) for step in (0, 1, 2, 39)]
    [0.67, 1.33, 2.0, 0.0]
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = "lora"  # low-rank adapters beside frozen weights, or every weight
    epochs: int = Field(3, ge=1)
    batch_size: int = Field(32, ge=1)  # rows an update, over all processes and micro-batches
    learning_rate: float | None = Field(None, gt=0, allow_inf_nan=False)  # the highest; None: RATES of the kind
    weight_decay: float = Field(0.1, ge=0, allow_inf_nan=False)  # of matrices; biases and norms are never decayed
    beta2: float = Field(0.95, gt=0, lt=1)  # of AdamW; its beta1 is .9
    clip: float = Field(1.0, gt=0, allow_inf_nan=False)  # the largest norm of an update's gradient
    warm_up: int = Field(40, ge=0)  # updates of linear rise, a tenth of all at most; cosine decay to 0 follows
    eval_every: int = Field(25, ge=1)  # updates between evaluations on the validation rows
    stop: Stop = "auroc"  # the criterion on validation rows, against their weak labels
    patience: int | None = Field(None, ge=1)  # evaluations in a row without a better one after which training ends
    lora_rank: int = Field(8, ge=1)
    lora_alpha: float = Field(8, gt=0, allow_inf_nan=False)  # adapters count alpha / rank
    lora_targets: list[str] | None = Field(
        None, min_length=1
    )  # layers, by the ends of their names; None: all (`lora_targets`)
    max_length: int | None = Field(None, ge=1)  # tokens, beyond which texts are cut; None: the model's window
    batch_tokens: int = Field(8192, ge=1)  # padding included, that go through the model at once: bounds the memory
    dtype: Precision = "auto"  # of products; auto: bfloat16 on GPUs that have it
    gradient_checkpointing: bool = False  # a third more time for much less memory
    head_scale: float = Field(0.01, ge=0, allow_inf_nan=False)  # of the head's usual initial values
    # Of a model that says labels: what it chooses from. "vocabulary" adds to the loss on the two words' log-odds
    # -log of their share in the next token's probability: with xent, cross-entropy over the vocabulary.
    over: Over = "labels"
    engine: Engine = "loop"  # whose loop trains: our own, or transformers' Trainer, which shards models
    accelerate: str | None = None  # of the Trainer: a configuration file of accelerate, which says over what
    quantize: Quantized | None = None  # of the Trainer and adapters: the frozen weights in four bits (QLoRA)

    @model_validator(mode="after")
    def _of_the_trainer(self) -> "FineTuning":
        for name in ("accelerate", "quantize"):
            if self.engine == "loop" and getattr(self, name) is not None:
                raise ValueError(f"{name} is of engine = 'trainer': give that, or leave it out")
        if self.quantize is not None and self.kind != "lora":
            raise ValueError(f"quantize freezes weights in four bits, and kind is {self.kind!r}: choose 'lora'")
        return self

    @property
    def rate(self) -> float:
        """The highest learning rate."""
        return RATES[self.kind] if self.learning_rate is None else self.learning_rate

    def facts(self, *, speaks: bool) -> dict[str, Any]:
        """The settings that count, fit for JSON: a classifier has nothing to say, and a speaker no new head.

        What the Trainer is told counts where it is used: in how many processes it shards a model never does.
        """
        idle = {"head_scale", "max_length"} if speaks else {"over"}
        return self.model_dump(mode="json", exclude=idle | {"accelerate"} | self.idle_engine)

    @property
    def idle_engine(self) -> set[str]:
        """The keys of the engine that decide no number."""
        return ({"engine"} if self.engine == "loop" else set()) | ({"quantize"} if self.quantize is None else set())

    def rate_at(self, step: int, steps: int) -> float:
        """The learning rate of update `step` (from 0) of `steps`: linear warm-up, then a cosine to 0."""
        rise = min(self.warm_up, steps // 10)
        if step < rise:
            return self.rate * (step + 1) / (rise + 1)
        return self.rate * 0.5 * (1 + cos(pi * (step - rise) / max(1, steps - rise)))
