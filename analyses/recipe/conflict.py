"""A conflicting objective that students are taught beside their weak labels: the recipe's `[conflict]`."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, model_validator

from .section import Section

ConflictKind = Literal["explicit", "implicit"]


class Conflict(Section):
    """What conflicts with the task: being wrong where the student errs (explicit), or another task (implicit)."""

    kind: ConflictKind | None = None  # of the only methods that the recipe may name; without: of both kinds
    alpha: float = Field(0.5, ge=0)  # the weight of an explicit one beside the student's loss
    task: str | None = None  # of an implicit one: a task whose training rows and true labels are mixed in
    share: float = Field(1.0, ge=0)  # of an implicit one: how many rows are, over n_train

    @model_validator(mode="after")
    def _fits_kind(self) -> "Conflict":
        if self.kind == "implicit" and self.task is None:
            raise ValueError("kind = 'implicit' needs `task`: the name of the task whose rows are mixed in")
        if self.kind == "explicit" and self.task is not None:
            raise ValueError("kind = 'explicit' takes no `task`: leave it out, or leave kind out for both kinds")
        return self

    def refuse(self, methods: Iterable[str]) -> None:
        """ValueError for a method that teaches another kind of conflict, or lacks its task."""
        for name in methods:
            kind = next((kind for kind in ("explicit", "implicit") if name.endswith(f"conflict-{kind}")), None)
            if kind is None:
                continue
            if self.kind not in (None, kind):
                raise ValueError(f"conflict.kind = {self.kind!r}, but method {name!r} is not of it: leave one out")
            if kind == "implicit" and self.task is None:
                raise ValueError(f"method {name!r} needs conflict.task, the name of the task whose rows are mixed in")
