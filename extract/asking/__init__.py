"""A model that speaks: what it answers to a question about each row, read from its own language-model head."""

from typing import TYPE_CHECKING

from w2s_probes.lazy_face import lazy_face

if TYPE_CHECKING:
    from .asking import Answers, Asking
    from .saying import Saying, said_labels

__all__ = ["Answers", "Asking", "Saying", "said_labels"]


__getattr__, __dir__ = lazy_face(
    __name__, {"Answers": "asking", "Asking": "asking", "Saying": "saying", "said_labels": "saying"}
)
