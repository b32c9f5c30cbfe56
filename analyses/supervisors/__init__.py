"""Weak supervisors: trained on the truth of weak-train, which no student sees, they label every other set."""

from pathlib import Path
from typing import Any

from w2s_probes.code_hashes import code_hash
from w2s_probes.io.files import sha256
from w2s_probes.io.readers import READERS

from ..experiment.row_sets import RowSets
from ..experiment.task_models import TaskModels
from ..lessons.engine import Steps
from ..lessons.lesson import Scores
from ..lessons.result_cache import array_hash, table_hash
from ..recipe.schema import Strong, Weak
from .alone import supervise_alone
from .boosted import boosted_supervisor
from .calibrated import calibration_key
from .ensembles import ensemble
from .from_file import labels_of_file
from .from_model import model_supervisor
from .from_prior import prior_supervisor
from .simulated import imitable, mistaken_supervisor, nested_supervisor
from .tfidf import text_supervisor

CODE = (text_supervisor, model_supervisor, boosted_supervisor, ensemble, imitable, labels_of_file)  # for keys

__all__ = ["as_seen", "described", "supervise"]


def supervise(
    weak: Weak, sets: RowSets, task_models: TaskModels, strong: Strong, *, task: str, seed: int
) -> Steps[Scores]:
    """P(label = 1) for the rows of each set (train, val, test; candidates where the supervisor labels them).

    A single trained supervisor scores the rows that it holds out, too (`held_out`).
    `task_models` knows the rows of weak-train, too; `strong` is read by simulations alone.
    """
    if weak.kind == "labels":
        assert weak.file is not None
        return labels_of_file(weak.file, sets)
    if weak.kind == "prior":
        return prior_supervisor(weak, sets, task_models, task=task, seed=seed)
    if weak.kind == "ensemble":
        return (yield from ensemble(weak, sets, supervise_alone, task_models, task=task, seed=seed))
    if weak.kind != "simulated":
        return (yield from supervise_alone(weak, sets, task_models, task=task, seed=seed))
    if weak.errors == "first-features":
        return nested_supervisor(weak, sets, task_models, strong)
    (member,) = weak.members or [Weak(kind="text")]
    base = yield from supervise_alone(member, sets, task_models, task=task, seed=seed)
    return base if weak.errors == "imitation" else mistaken_supervisor(weak, base, sets, task_models, strong, seed)


def as_seen(weak: Weak, sets: RowSets, labels: Scores) -> RowSets:
    """The sets as students see them: those of an imitation carry the weak label in their texts."""
    return imitable(labels, sets) if weak.errors == "imitation" else sets


def described(weak: Weak, sets: RowSets, task_models: TaskModels, strong: Strong, seed: int) -> dict[str, Any]:
    """The cache key of a supervisor's labels: all that decides them."""
    models: list[str | None] = [weak.model] if weak.model else []
    models += [member.model for member in weak.members]  # by place: one without a model has None
    models += [strong.model] * (weak.kind == "simulated")
    return {
        "weak": _settings(weak),
        "weights": [model and task_models.sources.find(model).weights for model in models],
        "strong": strong.model_dump(mode="json", exclude={"model"}) if weak.kind == "simulated" else None,
        "rows": {name: table_hash(table) for name, table in sets.tables.items()},
        # Simulations read the truth of every row, other supervisors that of weak-train.
        "truth": [array_hash(table["label"].to_numpy(dtype=float)) for table in sets.tables.values()],
        **({"asked": task_models.opinions(weak).description} if weak.kind == "prior" else {}),
        **({"says": said} if (said := _said(weak, task_models)) else {}),
        **calibration_key(weak),
        "file": _hash(weak.file),
        **({"files": files} if (files := [_hash(member.file) for member in weak.members if member.file]) else {}),
        **({"readers": readers} if (readers := _added_readers(weak)) else {}),
        "code": [code_hash(function) for function in CODE],
        "seed": seed,
    }


def _settings(weak: Weak) -> dict[str, Any]:
    """The settings of a supervisor, fit for JSON, but for its model."""
    tuned = {"finetuning": weak.finetuning.facts(speaks=weak.kind == "lm")}
    members = {"members": [_settings(member) for member in weak.members]}
    return weak.model_dump(mode="json", exclude={"model", "calibrate"}) | tuned | members


def _said(weak: Weak, task_models: TaskModels) -> list[dict[str, Any]]:
    """How each model is asked that learns to say labels."""
    return [task_models.opinions(one).saying.facts for one in weak.trained if one.kind == "lm"]


def _added_readers(weak: Weak) -> dict[str, str]:
    """A hash of the code of each reader of label files that is not the package's own, by its ending."""
    files = [one.file for one in [weak, *weak.members] if one.file is not None]
    endings = sorted({max(fits, key=len) for file in files if (fits := [e for e in READERS if file.name.endswith(e)])})
    return {e: f"{code_hash(READERS[e])} {READERS.code(e)}" for e in endings if not READERS.is_own(e)}


def _hash(file: Path | None) -> str | None:
    return sha256(file) if file is not None and file.is_file() else None
