"""Steering: what a model says, or thinks later, when a direction is added to its residual stream or taken out of it."""

from typing import TYPE_CHECKING

from w2s_probes.lazy_face import lazy_face

if TYPE_CHECKING:
    from .directions import Directions
    from .held_rows import HeldRows
    from .movement import BesideRandom, Moved, Steered
    from .steer_record import write_steered
    from .steering import Steering, steer

__all__ = ["BesideRandom", "Directions", "HeldRows", "Moved", "Steered", "Steering", "steer", "write_steered"]


__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "BesideRandom": "movement",
        "Directions": "directions",
        "HeldRows": "held_rows",
        "Moved": "movement",
        "Steered": "movement",
        "Steering": "steering",
        "steer": "steering",
        "write_steered": "steer_record",
    },
)
