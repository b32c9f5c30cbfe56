"""Units of a sweep during which the process that does them is killed. Workers import this: nothing heavy here."""

import os
import time
from dataclasses import dataclass, fields
from pathlib import Path
from signal import SIGKILL

import pandas as pd

from w2s_probes.sweep.measures import SweepLine
from w2s_probes.sweep.unit import Unit


@dataclass(frozen=True, eq=False)
class Mortal(Unit):
    """A unit that writes down who does it, and whose first doers are killed."""

    journal: Path = Path()  # a folder with a file for each time that a unit was begun, and for each death
    dies: int = 0  # so many times
    kept_first: bool = False  # when its lines are kept already, but nobody has heard of it; else before
    among: int = 0  # not before so many units were begun and one is done
    waits: float = 0.0  # seconds for which it does nothing once it is begun

    @classmethod
    def of_unit(cls, unit: Unit, journal: Path, dies: int = 0, kept_first: bool = False, among: int = 0,
                waits: float = 0.0) -> "Mortal":  # fmt: skip
        """The same unit, mortal."""
        return cls(**{f.name: getattr(unit, f.name) for f in fields(unit)}, journal=journal, dies=dies,
                   kept_first=kept_first, among=among, waits=waits)  # fmt: skip

    def run(self) -> pd.DataFrame:
        """As any unit's, unless this is where it ends."""
        self._note("begun")
        time.sleep(self.waits)
        table = super().run()
        if self.kept_first:
            self._perhaps_die()
        self._note("done")
        return table

    def _lines(self) -> list[SweepLine]:
        lines = super()._lines()
        self._note("made")
        if not self.kept_first:
            self._perhaps_die()
        return lines

    def _perhaps_die(self) -> None:
        if len(list(self.journal.glob(f"died {self.layer} *"))) >= self.dies:
            return
        waited = time.monotonic() + 20
        while time.monotonic() < waited and not (
            len({file.name.split()[1] for file in self.journal.glob("begun *")}) >= self.among
            and any(self.journal.glob("done *"))
        ):
            time.sleep(0.02)
        self._note("died")
        os.kill(os.getpid(), SIGKILL)

    def _note(self, what: str) -> None:
        (self.journal / f"{what} {self.layer} {os.getpid()} {time.monotonic_ns()}").touch()


def noted(journal: Path, what: str) -> list[int]:
    """The layers of which something was written down, as often as it was."""
    return sorted(int(file.name.split()[1]) for file in journal.glob(f"{what} *"))
