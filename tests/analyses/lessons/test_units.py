"""A lesson whose training's process dies is named."""

from types import SimpleNamespace
from typing import Any

import pytest

from analyses.lessons import units
from analyses.lessons.units import LessonUnit
from w2s_probes.students.finetuning.worker_processes import WorkerDiedError


def test_a_fine_tuning_one_of_whose_processes_dies_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(lessons: Any) -> Any:
        raise WorkerDiedError("process 1 of 2 of a training was ended by SIGKILL: give the same command again")

    monkeypatch.setattr(units, "teach", dies)
    learner = SimpleNamespace(reads_activations=False)
    lesson: Any = SimpleNamespace(step="miniature, seed 0: student-xent", key="a", learner=learner, kept=lambda: None)
    named = r"^fine-tuning of miniature, seed 0: student-xent: process 1 of 2 of a training was ended by SIGKILL: give"
    with pytest.raises(WorkerDiedError, match=named):
        LessonUnit((lesson,)).run()
