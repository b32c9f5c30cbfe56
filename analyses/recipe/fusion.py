"""How the strong model's answers are moved by what tuning changed in a small one: the recipe's `[fusion]`."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from .section import Section

FUSION, FUSION_CONTROL = "fusion-", "control-fusion-"  # begin the names of methods


def is_fusion(method: str) -> bool:
    """Whether this method fuses logits, or is a control of one that does."""
    return method.startswith((FUSION, FUSION_CONTROL))


class Fusion(Section):
    """What methods `fusion-…` and their controls fuse, in the words of `[asking]`."""

    base: str | None = None  # the small model before it was tuned; without: weak.model
    experts: list[str] = Field([])  # tuned checkpoints of it; without: the supervisor, of kind lm
    over: Literal["labels", "vocabulary"] = "labels"  # the tokens over which α is found
    top: float = Field(2.0, gt=0)  # the largest α
    solver: Literal["exact", "grid"] = "exact"  # "grid": the best of 21 values, as published

    def refuse(self, methods: Iterable[str], weak_kind: str, weak_model: str | None) -> None:
        """ValueError where methods that fuse lack a tuned model or its base, and for an expert named twice."""
        if len(set(self.experts)) < len(self.experts):
            raise ValueError(f"fusion.experts names something twice: {', '.join(self.experts)}")
        fusing = next(filter(is_fusion, methods), None)
        if fusing is None:
            return
        if not self.experts and weak_kind != "lm":
            raise ValueError(
                f"method {fusing!r} needs a tuned small model: give fusion.experts, or a supervisor of kind 'lm'"
            )
        if not self.experts and self.base is not None:
            raise ValueError("fusion.base: the supervisor was tuned from weak.model: leave it out, or give experts")
        if self.base is None and weak_model is None:
            raise ValueError("fusion.experts need fusion.base, the model that they were tuned from")

    def models(self, methods: Iterable[str]) -> list[str]:
        """The models that it names, where some method fuses."""
        named = [*([] if self.base is None else [self.base]), *self.experts]
        return named if any(map(is_fusion, methods)) else []
