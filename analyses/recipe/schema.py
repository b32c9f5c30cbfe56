"""The schema of recipes: one TOML file says everything that a run does."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from w2s_probes.probes.registry import PROBES
from w2s_probes.students.finetuning.settings import FineTuning

from .asking import AskedAs
from .calibration_keys import refuse_calibration
from .conflict import Conflict
from .debate_settings import DebateSettings, refuse_debate, with_base
from .fusion import Fusion
from .gold import Gold, with_gold
from .metrics_wanted import Results
from .probe_values import Probes
from .rater_keys import TRAINED, RaterKeys, refuse_members
from .robustness import Robustness
from .section import Count, KnownDevice, KnownSite, Position, Section, StrongPosition
from .seeds import SEEDS, SEEDS_OF_HEADS, with_ranges
from .training import Student, Training

TEST_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"  # it is part of files' names
RESERVED = ("test", "train", "val", "weak", "candidates")


class Subset(Section):
    """The test rows by the value of a field of the source: each value is a test set beside the whole."""

    field: str
    values: list[str | int | float | bool] = Field([])  # those wanted; without: all of them


class Data(Section):
    """Tasks, the place of their rows, the sizes of the row sets, and test sets beside the tasks' own."""

    tasks: list[str] = Field(min_length=1)  # names in data/tasks, or paths of task files
    folder: Path | None = None  # holds TASK/train.jsonl.gz and TASK/test.jsonl.gz; without it: the hub
    n_train: int = Field(4000, ge=2)  # strong-train: rows with weak labels for the student
    n_val: int = Field(500, ge=2)  # rows with weak labels, for early stopping
    n_test: int = Field(1500, ge=2)  # rows with ground truth, for the numbers
    at_most: bool = False  # a task with fewer rows gets smaller sets, its train part shared out in these proportions
    # Other test sets by name, of every task: the name or file of a task, whose test part it is, or a file of rows in
    # the task's own fields; a table under a task's name has those of this task alone.
    tests: dict[str, str | dict[str, str]] = Field({})
    subset: Subset | None = None  # a field's name alone will do

    @field_validator("subset", mode="before")
    @classmethod
    def _a_field(cls, value: Any) -> Any:
        return {"field": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _named_tests(self) -> "Data":
        tables = {name: inner for name, inner in self.tests.items() if isinstance(inner, dict)}
        for task in tables:
            if task not in (short := [Path(name).stem for name in self.tasks]):
                raise ValueError(f"tests.{task} is a table, but no task is called so: {', '.join(short)}")
        for name in [*(self.tests.keys() - tables.keys()), *(name for inner in tables.values() for name in inner)]:
            if not re.fullmatch(TEST_NAME, name) or name in RESERVED:
                raise ValueError(
                    f"tests: {name!r} cannot be the name of a test set: use letters, digits, '.', '-' and '_', and "
                    f"none of {', '.join(RESERVED)}"
                )
        return self

    def tests_of(self, task: str) -> dict[str, str]:
        """The test sets beside its own of a task, by its short name: those of every task, then its own."""
        own = self.tests.get(task)
        return {name: place for name, place in self.tests.items() if isinstance(place, str)} | (
            own if isinstance(own, dict) else {}
        )


class Strong(Section):
    """A model, and where its activations are read: what heads and probes see."""

    model: str
    layer: int | str = "middle"
    site: KnownSite = "residual"
    position: StrongPosition = "last"


ErrorKind = Literal[
    "first-features",
    "own",
    "random",
    "longest",
    "shortest",
    "strong-unconfident",
    "strong-confidently-correct",
    "imitation",
]
# Which keys each kind of supervisor needs, and which it may have beside `kind`.
NEEDS = {"text": set(), "head": {"model"}, "finetune": {"model"}, "ensemble": {"members"}, "labels": {"file"}}
NEEDS |= {"simulated": {"errors"}, "prior": {"model"}, "lm": {"model"}}
NEEDS |= {"boosted": set()}
MAY = {
    "text": {"n_truth"},
    "head": {"n_truth", "layer", "position", "epochs"},
    "finetune": {"n_truth", "finetuning"},
    "lm": {"n_truth", "finetuning"},
    "boosted": {"n_truth", "model", "layer", "position", "rounds"},
    "ensemble": {"n_truth", "bagging", "by", "trusted"},
    "labels": set(),
    "prior": {"n_truth", "n_shots"},
    "simulated": {"n_truth", "features", "members"},
}
MAY = {kind: keys | {"calibrate"} if kind in TRAINED else keys for kind, keys in MAY.items()}


class Weak(RaterKeys):
    """The weak supervisor, trained on ground truth of rows that no student sees, or a file of labels."""

    # TF-IDF + logistic; a head on a model's activations; a fine-tuned model; several of them; a file; a simulation;
    # a causal model's own opinion, see [asking]; one that is fine-tuned to say the label; boosted stumps on TF-IDF, or
    # on a model's activations
    kind: Literal["text", "head", "finetune", "ensemble", "labels", "simulated", "prior", "lm", "boosted"] = "text"
    n_truth: int = Field(500, ge=10)  # weak-train rows
    model: str | None = None  # of kinds head, finetune, prior, lm and boosted
    n_shots: int = Field(0, ge=0)  # of a prior: weak-train rows that it is shown with their true labels
    layer: int | str = "middle"
    position: Position = "mean"
    epochs: Count = 200
    finetuning: FineTuning = FineTuning(kind="full")
    members: list["Weak"] = Field([])  # of an ensemble; of a simulation the one whose error rate is kept
    bagging: bool = True  # each member of an ensemble learns from a resample of the groups of weak-train
    file: Path | None = None  # of kind labels: `label` = P(1) by `id` or by `text`
    errors: ErrorKind | None = None  # of a simulation
    features: Count = 100  # of first-features: how many the supervisor sees

    @model_validator(mode="after")
    def _fits_kind(self) -> "Weak":
        given = self.model_fields_set - {"kind"}
        for name in sorted(NEEDS[self.kind] - given):
            raise ValueError(f"kind = {self.kind!r} needs `{name}`")
        for name in sorted(given - NEEDS[self.kind] - MAY[self.kind]):
            raise ValueError(f"kind = {self.kind!r} takes no `{name}`")
        refuse_members(self)
        if self.kind in ("finetune", "lm") and self.finetuning.batch_size > self.n_truth:
            raise ValueError(
                f"finetuning.batch_size = {self.finetuning.batch_size} needs at least as many rows as n_truth = "
                f"{self.n_truth}"
            )
        _ = self.training  # refuses what does not fit its kind
        if self.kind == "simulated" and len(self.members) > 1:
            raise ValueError("a simulation has one member at most, whose error rate it keeps")
        return self

    @property
    def training(self) -> Training:
        """The training of a supervisor of kind head, finetune or lm."""
        kinds: dict[str, Literal["head", "lm"]] = {"head": "head", "lm": "lm"}
        return Training(kind=kinds.get(self.kind, self.finetuning.kind), epochs=self.epochs, finetuning=self.finetuning)

    @property
    def trained(self) -> list["Weak"]:
        """The supervisors that are trained for it: itself, or its members."""
        return self.members if self.members else [self] if self.kind in TRAINED else []


class Recipe(Section):
    """A whole run."""

    # Of splits and training; unless given ten where students are heads, which cost little, and else three. One seed
    # tells nothing of the luck of a training: no method can be judged by it.
    seeds: list[Annotated[int, Field(ge=0)]] = Field(SEEDS_OF_HEADS, min_length=1)
    plugins: list[Path] = Field([])  # Python files that add probes, losses, methods or readers; they are run
    methods: list[str] = Field(min_length=1)
    baseline: str = "student-xent"  # that the tests across tasks compare every other method with
    n_boot: int = Field(2000, ge=2)
    device: KnownDevice = "cpu"  # of fits of probes and heads; what is read or fine-tuned finds a GPU by itself
    keep_students: bool = False  # whether every trained head and model is written to OUT/students
    data: Data
    weak: Weak
    strong: Strong
    intermediate: list[Strong] = Field([])  # from weaker to stronger, between the two: for `bootstrap`
    student: Student = Student()
    probes: Probes = Probes()
    conflict: Conflict = Conflict()
    asking: AskedAs = AskedAs()
    debate: DebateSettings | None = None
    fusion: Fusion = Fusion()
    results: Results = Results()
    robustness: Robustness = Robustness()
    gold: Gold = Gold()

    @model_validator(mode="before")
    @classmethod
    def _as_many_seeds_as_students_allow(cls, values: Any) -> Any:
        values = with_gold(with_base(values)) if isinstance(values, dict) else values
        if isinstance(values, dict) and "seeds" not in values:
            student = values.get("student")
            kind = student.get("kind", "head") if isinstance(student, dict) else getattr(student, "kind", "head")
            return {**values, "seeds": SEEDS_OF_HEADS if kind == "head" else SEEDS}
        return values

    @field_validator("seeds", mode="before")
    @classmethod
    def _ranges_of_seeds(cls, seeds: Any) -> Any:
        return with_ranges(seeds) if isinstance(seeds, list | tuple) else seeds

    @field_validator("methods")
    @classmethod
    def _whole_names(cls, names: list[str]) -> list[str]:
        return [name.strip() for name in names]

    @model_validator(mode="after")
    def _nothing_twice(self) -> "Recipe":
        for name, items in (("seeds", self.seeds), ("methods", self.methods), ("data.tasks", self.task_names)):
            if len(set(items)) < len(items):
                raise ValueError(f"{name} names something twice: {', '.join(map(str, items))}")
        return self

    @model_validator(mode="after")
    def _conflict_of_methods(self) -> "Recipe":
        self.conflict.refuse(self.methods)
        refuse_debate(self.debate, self.weak.kind, self.weak.model, self.methods)
        self.asking.refuse(self.data.tasks, self.methods, self.weak.n_shots, self.weak.n_truth)
        self.fusion.refuse(self.methods, self.weak.kind, self.weak.model)
        self.gold.refuse(self.methods, self.data.n_train, self.student.kind)
        refuse_calibration(self)
        self.probes.layers.refuse(self.methods, self.strong.position)
        return self

    @model_validator(mode="after")
    def _neighbours_within_rows(self) -> "Recipe":
        for setting in [entry.setting for entry in PROBES.values() if entry.value == "k"]:
            k = self.probes.model_dump().get(setting, 0)  # of a plugin's probe where it is given
            if k >= self.data.n_train:
                raise ValueError(f"probes.{setting} = {k} needs more rows than data.n_train = {self.data.n_train}")
        return self

    @model_validator(mode="after")
    def _attention_of_the_strong(self) -> "Recipe":
        if any(model.position == "attention" for model in self.intermediate):
            raise ValueError("intermediate.position = 'attention': heads read no pooled vectors: give 'mean'")
        return self

    @model_validator(mode="after")
    def _batches_within_rows(self) -> "Recipe":
        if self.student.kind != "head" and self.student.finetuning.batch_size > self.data.n_train:
            raise ValueError(
                f"student.finetuning.batch_size = {self.student.finetuning.batch_size} needs at least as many rows "
                f"as data.n_train = {self.data.n_train}"
            )
        return self

    @property
    def models(self) -> list[str]:
        """The models that the recipe names, each once."""
        named = [self.strong.model, self.weak.model, *(member.model for member in self.weak.members)]
        named += [model.model for model in self.intermediate] + self.fusion.models(self.methods)
        named += [] if self.debate is None else [self.debate.model, self.debate.weak_model]
        return list(dict.fromkeys(name for name in named if name is not None))

    @property
    def task_names(self) -> list[str]:
        """The tasks' short names: a path's file name without its ending."""
        return [Path(name).stem for name in self.data.tasks]
