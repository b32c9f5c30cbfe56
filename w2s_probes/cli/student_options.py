"""Options of `w2s sweep` that say which heads are taught."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InputError
from .number_lists import names

if TYPE_CHECKING:
    from ..sweep import StudentGrid


@dataclass(frozen=True)
class SweptStudents:
    """Options that say which heads are taught, as typed."""

    losses: str
    filters: str
    relabels: str

    def refuse_unknown(self) -> None:
        """InputError for a name that does not exist, before anything heavy is loaded."""
        self.grid([])
        if not self.losses and (self.filters, self.relabels) != ("none", ""):
            raise InputError("--student-filter and --student-relabel are of students: say by --students which losses")

    def grid(self, contamination: list[float]) -> "StudentGrid | None":
        """The students; None where there are none."""
        from ..sweep.student_grid import CONTAMINATION, StudentGrid

        if not self.losses:
            return None
        return StudentGrid(
            names(self.losses), names(self.filters), names(self.relabels), contamination or (CONTAMINATION,)
        )
