"""Debates: a model argues for either answer about each row, turn by turn, and others read what was said."""

from .attaching import Attached, attach
from .transcripts import Transcript, Turn, read_transcripts, write_transcripts

__all__ = ["Attached", "Transcript", "Turn", "attach", "read_transcripts", "write_transcripts"]
