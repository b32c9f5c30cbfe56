"""A fine-tuning's folder: its state while it runs, its result when it is finished, both whole or absent."""

import hashlib
import json
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...io.files import partial, remove_abandoned, replacing
from ...io.json_files import parse_json

STATE = "state.safetensors"  # parameters, optimiser, best parameters; beside them in its metadata the numbers
RESULT = "result.json"
LAST_GOOD = "last-good.safetensors"  # of a training that diverged
MODEL = "model"
SECONDS = 60.0  # between states: what a kill can cost
SHARE = 20  # a state is written when training took so many times as long as writing the last one did


@dataclass(frozen=True)
class SavedState:
    """A training between two updates: all that a resumed one goes on from."""

    facts: dict[str, Any]  # fit for JSON
    tensors: dict[str, dict[str, Tensor]]  # by kind and name


@dataclass
class TrainingFolder:
    """The files of one training as one process sees them; without a path nothing is written.

    Each file carries `key`, a hash of all that determines the numbers: files with another one count as absent. So do
    damaged ones, found by their checksums, of which the first process warns.
    """

    path: Path | None
    key: str
    writes: bool = True  # several processes: only the first
    _next: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._next = time.monotonic() + SECONDS
        if self.path is not None and self.writes:
            remove_abandoned(self.path)

    @property
    def model(self) -> Path | None:
        """The folder of the saved model."""
        return None if self.path is None else self.path / MODEL

    def result(self) -> dict[str, Any] | None:
        """The result of this very training, if it is finished."""
        if self.path is None:
            return None
        file = self.path / RESULT
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            self._damaged(file)
            return None
        try:
            content = parse_json(text, str(file))
            if content["sha256"] != _result_hash(content["key"], content["result"]):
                self._damaged(file)
                return None
            return content["result"] if content["key"] == self.key else None
        except (ValueError, LookupError, TypeError, RecursionError):
            self._damaged(file)
            return None

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the result, and delete the state."""
        if self.path is None or not self.writes:
            return
        with replacing(self.path / RESULT) as temporary:
            content = {"key": self.key, "sha256": _result_hash(self.key, result), "result": result}
            temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        for name in (STATE, LAST_GOOD):
            (self.path / name).unlink(missing_ok=True)

    def state(self) -> SavedState | None:
        """The last state of this very training, if there is one."""
        if self.path is None:
            return None
        path = self.path / STATE
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                whole = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
            if metadata["sha256"] != _state_hash(metadata["key"], metadata["facts"], whole):
                self._damaged(path)
                return None
            if metadata["key"] != self.key:
                return None
            tensors: dict[str, dict[str, Tensor]] = {}
            for name, tensor in whole.items():
                kind, _, inner = name.partition("/")
                tensors.setdefault(kind, {})[inner] = tensor
            return SavedState(parse_json(metadata["facts"], str(path)), tensors)
        except (OSError, SafetensorError, ValueError, LookupError, TypeError, RuntimeError):
            self._damaged(path)
            return None

    def due(self) -> bool:
        """Whether it is time to write a state."""
        return self.path is not None and self.writes and time.monotonic() >= self._next

    def keep(self, state: Callable[[], SavedState]) -> None:
        """Write a state in the place of the last one."""
        assert self.path is not None
        began, now = time.monotonic(), state()
        self._write(
            STATE, {f"{kind}/{n}": t for kind, named in now.tensors.items() for n, t in named.items()}, now.facts
        )
        took = time.monotonic() - began
        self._next = time.monotonic() + max(SECONDS, SHARE * took)

    def keep_last_good(self, tensors: dict[str, Tensor], step: int) -> Path | None:
        """Write trainable parameters that a diverged training leaves; where they are."""
        if self.path is None:
            return None
        if self.writes:
            self._write(LAST_GOOD, tensors, {"step": step})
        return self.path / LAST_GOOD

    def keep_model(self, save: Callable[[Path], None]) -> None:
        """Have `save` fill a folder that then takes the model's place."""
        if self.path is None or not self.writes:
            return
        remove_abandoned(self.path)  # what a killed process has left, and not what another is writing
        temporary = partial(self.path / MODEL)
        try:
            temporary.mkdir(parents=True)
            save(temporary)
            with suppress(FileNotFoundError):
                shutil.rmtree(self.path / MODEL)
            temporary.rename(self.path / MODEL)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _damaged(self, file: Path) -> None:
        if self.writes:
            warnings.warn(f"{file}: damaged, so it is not used: this training begins anew", stacklevel=4)

    def _write(self, name: str, tensors: Mapping[str, Tensor], facts: dict[str, Any]) -> None:
        assert self.path is not None
        with replacing(self.path / name) as temporary:
            whole = {key: tensor.contiguous() for key, tensor in tensors.items()}
            text = json.dumps(facts)
            metadata = {"key": self.key, "facts": text, "sha256": _state_hash(self.key, text, whole)}
            save_file(whole, temporary, metadata=metadata)


def _result_hash(key: str, result: object) -> str:
    return hashlib.sha256(f"{key} {json.dumps(result, sort_keys=True)}".encode()).hexdigest()


def _state_hash(key: str, facts: str, tensors: Mapping[str, Tensor]) -> str:
    """A hash of everything in a state, names and shapes included."""
    digest = hashlib.sha256(json.dumps([key, facts]).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        # As bytes: NumPy has no bfloat16.
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
