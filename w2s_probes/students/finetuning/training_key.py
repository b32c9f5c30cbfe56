"""The key of a fine-tuning: a hash of all that determines its numbers, under which its result is used again."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ...checkpoints.files import deciding_files
from ...io.files import sha256
from ...losses import LOSSES
from ...losses.added import added
from ..texts import Texts
from .label_speaker import Says
from .process_group import ProcessGroup
from .settings import FineTuning
from .updates import Loss

FORMAT = 4  # of the files, and of how training goes: raised where either changes


def training_key(
    model: Path,
    train: Texts,
    val: Texts | None,
    predict: Mapping[str, Sequence[str]],
    *,
    settings: FineTuning,
    loss: Loss,
    seed: int,
    processes: ProcessGroup,
    dtype: torch.dtype,
    says: Says | None = None,
    start: Path | None = None,
) -> str:
    """A hexadecimal SHA-256 of the checkpoint's files, texts, labels, settings, loss, seed, versions and machine."""
    parts: dict[str, Any] = {
        "format": FORMAT,
        "model": _files(model),
        "train": _texts(train),
        "val": None if val is None else _texts(val),
        "predict": {name: _lines(texts) for name, texts in predict.items()},
        "settings": settings.facts(speaks=says is not None),
        **({} if says is None else {"says": says.facts}),
        **({} if start is None else {"start": _files(start)}),
        "loss": describe(loss),
        "seed": seed,
        "processes": processes.size,
        "device": processes.device.type,
        "dtype": str(dtype),
        "versions": {name: _version(name) for name in _packages(settings)},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _packages(settings: FineTuning) -> list[str]:
    """The packages whose versions count."""
    engine = ["accelerate"] if settings.engine == "trainer" else []
    return ["torch", "transformers", "peft", "tokenizers", *engine, *(["bitsandbytes"] if settings.quantize else [])]


def describe(loss: Loss) -> dict[str, Any]:
    """The settings of a loss, without its memory; the code, too, of one that somebody has added to LOSSES."""
    settings: Any = loss
    names = [entry.name for entry in fields(settings) if entry.init] if is_dataclass(settings) else []
    described = {"class": type(loss).__name__, **{name: getattr(loss, name) for name in names}}
    code = added({described["name"]} & set(LOSSES)) if "name" in described else {}
    return described | ({"code": code} if code else {})


def _files(folder: Path) -> dict[str, str]:
    return {file.relative_to(folder).as_posix(): sha256(file) for file in deciding_files(folder)}


def _texts(rows: Texts) -> str:
    weight = "" if rows.weight is None else hashlib.sha256(rows.weight.tobytes()).hexdigest()
    against, conflict = "", rows.conflict
    if conflict is not None:
        against = f"{conflict.alpha!r} {hashlib.sha256(conflict.truth.tobytes()).hexdigest()}"
    return _lines(rows.texts) + hashlib.sha256(rows.soft.tobytes()).hexdigest() + weight + against


def _lines(texts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
