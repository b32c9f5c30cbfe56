"""Lessons during which the process that teaches them is killed. Workers import this."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any, ClassVar

from analyses.lessons import crew
from analyses.lessons.teaching import Taught
from analyses.lessons.units import LessonUnit
from w2s_probes.losses import Objective
from w2s_probes.students.finetuning import training_folder


@dataclass(frozen=True, eq=False)
class MortalLesson(LessonUnit):
    """Lessons that write down who teaches them, how far, and one of whose teachers is killed in mid-training."""

    journal: ClassVar[Path]  # a folder
    dies: ClassVar[tuple[str, int]] = ("", 0)  # the end of a step's name, and the update in which its teacher dies

    def run(self) -> list[Taught]:
        """As any unit's, unless this is where it ends."""
        training_folder.SECONDS = training_folder.SHARE = 0  # a state after every update
        advance, step = Objective.advance, self.lessons[0].step
        first = True

        def watched(objective: Objective) -> None:
            nonlocal first
            if first:
                self._note("update", step, objective.step)
                first = False
            advance(objective)
            if step.endswith(self.dies[0]) and objective.step == self.dies[1] and not self.noted("died"):
                self._note("died", step, objective.step)
                os.kill(os.getpid(), SIGKILL)

        Objective.advance = watched  # type: ignore[method-assign, assignment]
        try:
            taught = super().run()
        finally:
            Objective.advance = advance  # type: ignore[method-assign]
        for lesson in self.lessons:
            self._note("taught", lesson.key, 0)
        return taught

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"fate": (MortalLesson.journal, MortalLesson.dies)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        MortalLesson.journal, MortalLesson.dies = state.pop("fate")
        vars(self).update(state)

    def noted(self, what: str) -> list[tuple[str, int, int]]:
        """What was written down: name, number and process."""
        return noted(self.journal, what)

    def _note(self, what: str, name: str, number: int) -> None:
        file = self.journal / f"{what} {time.monotonic_ns()} {os.getpid()}"
        file.write_text(f"{name}\n{number}")


def mortal_command(journal: Path, dies: tuple[str, int], words: Sequence[str]) -> None:
    """Run `w2s` with such lessons."""
    from w2s_probes.cli import main

    MortalLesson.journal, MortalLesson.dies = journal, dies
    crew.LessonUnit = MortalLesson  # type: ignore[attr-defined]
    main(list(words))


def noted(journal: Path, what: str) -> list[tuple[str, int, int]]:
    """What was written down of a kind, in order: name, number and process."""
    notes = []
    for file in sorted(journal.glob(f"{what} *"), key=lambda file: int(file.name.split()[1])):
        name, number = file.read_text().split("\n")
        notes.append((name, int(number), int(file.name.split()[2])))
    return notes
