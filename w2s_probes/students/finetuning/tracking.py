"""Curves in TensorBoard, Weights & Biases or trackio, where asked for: one small adapter for each."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from ...errors import InputError, did_you_mean
from .settings import Tracker

PROJECT = "w2s-probes"


class CurveLog(Protocol):
    """A place that draws curves of named numbers over steps."""

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Add a point to each curve."""

    def finish(self) -> None:
        """Close the log; nothing is added after it."""


class TensorBoard:
    """Event files in a folder."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._writer: Any = _imported("torch.utils.tensorboard", "tensorboard").SummaryWriter(str(folder))
        self._writer.add_text("settings", "\n".join(f"    {name} = {value!r}" for name, value in settings.items()))

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Add a point to each curve."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def finish(self) -> None:
        """Close the file."""
        self._writer.close()


class TrackedRun:
    """A run of Weights & Biases, or of trackio, which has the same calls."""

    def __init__(self, library: str, name: str, settings: Mapping[str, Any]) -> None:
        self._library: Any = _imported(library, library)
        self._library.init(project=PROJECT, name=name, config=dict(settings))

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Add a point to each curve."""
        self._library.log(dict(numbers), step=step)

    def finish(self) -> None:
        """End the run."""
        self._library.finish()


TRACKERS: dict[str, Callable[[Path, Mapping[str, Any]], CurveLog]] = {
    "tensorboard": TensorBoard,
    "wandb": lambda folder, settings: TrackedRun("wandb", folder.name, settings),
    "trackio": lambda folder, settings: TrackedRun("trackio", folder.name, settings),
}


def tracker(name: str, folder: Path, settings: Mapping[str, Any]) -> CurveLog:
    """The tracker of this name; `folder` is where TensorBoard writes, its name the run's name elsewhere.

    InputError for an unknown name, or where the library is not installed.
    """
    if name not in TRACKERS:
        raise InputError(f"track {name!r}: {did_you_mean(name, TRACKERS)}")
    return TRACKERS[name](folder, settings)


def refuse_absent(name: Tracker) -> None:
    """InputError where the tracker's library is not installed: before hours of work, not after."""
    _imported("torch.utils.tensorboard" if name == "tensorboard" else name, name)


def _imported(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(
            f"track {package!r}: not installed: pip install 'w2s-probes[tracking]' or pip install {package}"
        ) from error
