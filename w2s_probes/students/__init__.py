"""Students, trained on weak labels: heads on frozen activations, and whole language models.

Importing this package loads nothing heavy; a name of it, when first used, loads torch. `finetune` itself is in the
module of that name, which loads transformers too.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .finetuning.settings import FineTuning

if TYPE_CHECKING:
    from .finetune import FineTuned
    from .head import HeadStudent
    from .texts import Texts

__all__ = ["FineTuned", "FineTuning", "HeadStudent", "Texts"]

_ELSEWHERE = {"FineTuned": "finetune", "HeadStudent": "head", "Texts": "texts"}


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ELSEWHERE[name]}", __name__), name)
