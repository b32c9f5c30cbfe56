"""Units whose code lies beside the library, in `extract` and `analyses`: sent as bytes, and opened where these are."""

import pickle
from dataclasses import dataclass
from typing import Any

from ..checkout import on_path
from .work import WorkUnit


@dataclass(frozen=True)
class Sealed:
    """A packed unit that any process with the library can receive, whatever is on its path."""

    key: str
    name: str
    on_gpu: bool
    content: bytes
    shared: tuple[Any, ...] = ()

    @classmethod
    def of(cls, unit: WorkUnit[Any]) -> "Sealed":
        """The unit, pickled."""
        return cls(unit.key, unit.name, unit.on_gpu, pickle.dumps(unit))

    def run(self) -> Any:
        """Open the unit and do it."""
        return self.unpacked(()).run()

    def packed(self) -> "Sealed":
        """The same."""
        return self

    def unpacked(self, shared: tuple[Any, ...]) -> WorkUnit[Any]:
        """The unit itself."""
        on_path()
        unit: WorkUnit[Any] = pickle.loads(self.content)
        return unit
