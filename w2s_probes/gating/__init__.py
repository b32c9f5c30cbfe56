"""Gates: whom to believe, row by row, where a weak and a strong model disagree."""

from .dispersion import dispersion
from .experts import GatedExperts, LinearHead
from .learned import Gate
from .mixing import Gated, gate, mixed
from .objectives import mixture_losses, own_losses

__all__ = [
    "Gate",
    "Gated",
    "GatedExperts",
    "LinearHead",
    "dispersion",
    "gate",
    "mixed",
    "mixture_losses",
    "own_losses",
]
