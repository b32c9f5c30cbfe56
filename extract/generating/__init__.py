"""A model that writes: texts drawn token by token, each row's by its own stream, whatever the batch."""

from typing import TYPE_CHECKING

from w2s_probes.lazy_face import lazy_face

if TYPE_CHECKING:
    from .generation import Generation, generate

__all__ = ["Generation", "generate"]


__getattr__, __dir__ = lazy_face(__name__, {"Generation": "generation", "generate": "generation"})
