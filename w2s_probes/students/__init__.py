"""Students, trained on weak labels: heads on frozen activations, and whole language models.

Importing this package loads nothing heavy; a name of it, when first used, loads torch. `finetune` itself is in the
module of that name, which loads transformers too.
"""

from typing import TYPE_CHECKING

from ..lazy_face import lazy_face
from .finetuning.settings import FineTuning

if TYPE_CHECKING:
    from .finetune import FineTuned
    from .head import HeadStudent
    from .head_lesson import HeadLesson
    from .heads import train_heads
    from .texts import Texts

__all__ = ["FineTuned", "FineTuning", "HeadLesson", "HeadStudent", "Texts", "train_heads"]


__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "FineTuned": "finetune",
        "HeadLesson": "head_lesson",
        "HeadStudent": "head",
        "Texts": "texts",
        "train_heads": "heads",
    },
)
