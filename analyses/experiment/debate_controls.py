"""What a method may know of the debate that the supervisor has read: labels under its controls, and no truth."""

from typing import Any, Protocol

from ..lessons.engine import Steps
from ..lessons.lesson import Scores


class DebateControls(Protocol):
    """A supervisor that can be had with one thing changed of what it reads."""

    @property
    def description(self) -> dict[str, Any]:
        """All that decides its labels, whatever is changed."""
        ...

    @property
    def n_truth(self) -> int:
        """The true labels of weak-train that its members learn from."""
        ...

    def notes(self, control: str = "", /) -> dict[str, float]:
        """What the record says of a control's transcripts, once its labels are there."""
        ...

    def labels(self, control: str = "", /) -> Steps[Scores]:
        """P(label = 1) of each set under a control, by what follows `control-debate-`."""
        ...
