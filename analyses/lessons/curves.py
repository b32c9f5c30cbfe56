"""Folders in which a tracker draws the course of fine-tunings."""

import re
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from w2s_probes.students.finetuning.settings import Tracker


@dataclass(frozen=True)
class Curves:
    """The folder in which a tracker draws the course of every fine-tuning."""

    track: Tracker
    folder: Path

    def next(self, step: str) -> Path:
        """The next free folder: named by the step, and numbered where a step trains several models."""
        name = re.sub(r"[^\w.-]+", "-", step)
        numbered = (self.folder / (f"{name}-{number}" if number > 1 else name) for number in count(1))
        return next(path for path in numbered if not path.exists())
