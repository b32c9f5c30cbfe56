"""Recipes: one TOML file says everything that a run does."""

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from extract.trace import Position
from w2s_probes.errors import InputError
from w2s_probes.probes import Connectivity
from w2s_probes.settings import validated
from w2s_probes.students.head import Loss

PATHS = (("data", "folder"), ("weak", "model"), ("strong", "model"))
RECIPES = Path(__file__).parent / "recipes"


class Section(BaseModel):
    """A table of the recipe; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """Which tasks, where their rows are, and how many go where."""

    tasks: list[str] = Field(min_length=1)  # names in data/tasks, or paths of task files
    folder: Path  # holds TASK/train.jsonl.gz and TASK/test.jsonl.gz
    n_train: int = Field(4000, ge=2)  # strong-train: rows with weak labels for the student
    n_val: int = Field(500, ge=2)  # rows with weak labels, for early stopping
    n_test: int = Field(1500, ge=2)  # rows with ground truth, for the numbers


class Weak(Section):
    """The weak supervisor, trained on ground truth of rows that nobody else sees."""

    kind: Literal["text", "head"] = "text"  # TF-IDF + logistic regression; a head on a model's activations
    n_truth: int = Field(500, ge=10)  # weak-train rows
    model: str | None = None  # for kind = "head"
    layer: int | str = "middle"
    position: Position = "mean"

    @model_validator(mode="after")
    def _head_needs_model(self) -> "Weak":
        if (self.kind == "head") != (self.model is not None):
            raise ValueError("kind = 'head' needs a model, and kind = 'text' takes none")
        return self


class Strong(Section):
    """The strong model whose activations student, ceiling and probes read."""

    model: str
    layer: int | str = "middle"
    position: Position = "last"


class Student(Section):
    """How students and the ceiling are trained."""

    kind: Literal["head"] = "head"
    loss: Loss = "xent"  # of the students trained on filtered or relabelled sets
    epochs: int = Field(200, ge=1)


class Probes(Section):
    """Hyper-parameters of probes and filters; fixed in advance, never chosen by truth."""

    knn_k: int = Field(50, ge=1)
    logistic_l2: float = Field(1e-2, ge=0)
    topo_k: int = Field(50, ge=1)  # k_cc = k_zeta
    connectivity: Connectivity = "strong"
    contamination: float = Field(0.1, ge=0, lt=1)


class Recipe(Section):
    """A whole run."""

    seeds: list[Annotated[int, Field(ge=0)]] = Field([0], min_length=1)
    methods: list[str] = Field(min_length=1)
    n_boot: int = Field(2000, ge=2)
    data: Data
    weak: Weak
    strong: Strong
    student: Student = Student()
    probes: Probes = Probes()

    @model_validator(mode="after")
    def _nothing_twice(self) -> "Recipe":
        for name, items in (("seeds", self.seeds), ("methods", self.methods), ("data.tasks", self.task_names)):
            if len(set(items)) < len(items):
                raise ValueError(f"{name} names something twice: {', '.join(map(str, items))}")
        return self

    @model_validator(mode="after")
    def _neighbours_within_rows(self) -> "Recipe":
        for name, k in (("knn_k", self.probes.knn_k), ("topo_k", self.probes.topo_k)):
            if k >= self.data.n_train:
                raise ValueError(f"probes.{name} = {k} needs more rows than data.n_train = {self.data.n_train}")
        return self

    @property
    def task_names(self) -> list[str]:
        """The tasks' short names: a path's file name without its ending."""
        return [Path(name).stem for name in self.data.tasks]


def read_recipe(path: Path | str, settings: Sequence[str] = ()) -> Recipe:
    """A recipe from a TOML file, with `table.key=value` settings on top.

    Paths in the file are relative to the file, those in settings to the working directory. $NAME is an
    environment variable. InputError for a key or value that no recipe has.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such recipe; the ones that come along are in {RECIPES}")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML ({error})") from error
    overridden = {_override(values, setting) for setting in settings}
    for table, key in PATHS:
        text = values.get(table, {}).get(key) if isinstance(values.get(table, {}), dict) else None
        if isinstance(text, str):
            start = Path.cwd() if (table, key) in overridden else path.parent
            values[table][key] = _resolved(text, start, f"{path}: {table}.{key}")
    return validated(Recipe, values, str(path))


def _override(values: dict[str, Any], setting: str) -> tuple[str, ...]:
    """Apply one `table.key=value`; the value is TOML, or a plain string where it is not."""
    name, equals, text = setting.partition("=")
    if not equals or not name:
        raise InputError(f"--set {setting}: write it as table.key=value, for example data.n_train=1000")
    keys = tuple(name.strip().split("."))
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    table = values
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise InputError(f"--set {setting}: {key!r} is not a table")
    table[keys[-1]] = value
    return keys


def _resolved(text: str, start: Path, where: str) -> str:
    """Variables filled in; a relative folder that exists, or is written with a leading dot, made absolute."""
    unset = [name for name in re.findall(r"\$\{?(\w+)\}?", text) if name not in os.environ]
    if unset:
        raise InputError(f"{where}: the environment variable {unset[0]} is not set; set it, or give --set")
    text = os.path.expandvars(text)
    is_path = text.startswith(".") or (start / text).exists()
    return str((start / text).resolve()) if is_path else text
