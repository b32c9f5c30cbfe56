"""Debates: a model argues for either answer about each row, turn by turn, and others read what was said."""

from typing import TYPE_CHECKING

from w2s_probes.lazy_face import lazy_face

from .attaching import Attached, attach
from .transcripts import Transcript, Turn, read_transcripts, write_transcripts

if TYPE_CHECKING:
    from .debate import Debate

__all__ = ["Attached", "Debate", "Transcript", "Turn", "attach", "read_transcripts", "write_transcripts"]


__getattr__, __dir__ = lazy_face(__name__, {"Debate": "debate"})
