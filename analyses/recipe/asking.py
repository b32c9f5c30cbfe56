"""How a causal model is asked for its own opinion of rows: the recipe's `[asking]`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from .section import Section

PRIOR = "prior-"  # begins the names of methods that ask
FEW_SHOT = f"{PRIOR}fewshot"
Two = Annotated[list[str], Field(min_length=2, max_length=2)]


class AskedAs(Section):
    """What supervisors of kind `prior` and methods `prior-…` ask, and what is made of the answers."""

    # The words of labels 0 and 1, of every task or by task; without: the task's `label_names`, or else no and yes.
    answers: Two | dict[str, Two] | None = None
    prompt: str | None = None  # {text} stands for a row's, {0} and {1} for the answers; without: a general question
    n_shots: int = Field(8, ge=2)  # of `prior-fewshot`: rows of weak-train with their true labels
    calibrate: Literal["prior", "content-free"] | None = None  # "prior": by the mean answer over the training rows
    chat_template: str | None = None  # "own", a Jinja file or "none"; without: the tokenizer's own, if it has one

    def of(self, task: str, label_names: list[str] | None) -> "AskedAs":
        """The same with the answers of one task, by its short name."""
        given = self.answers.get(task) if isinstance(self.answers, dict) else self.answers
        return self.model_copy(update={"answers": given or label_names})

    def refuse(self, tasks: Iterable[str], methods: Iterable[str], weak_shots: int, n_truth: int) -> None:
        """ValueError for answers of a task that is not there, for one shot, and for more than weak-train has rows."""
        short = [Path(name).stem for name in tasks]
        for task in self.answers if isinstance(self.answers, dict) else ():
            if task not in short:
                raise ValueError(f"asking.answers.{task}: no task is called so: {', '.join(short)}")
        if weak_shots == 1:
            raise ValueError("weak.n_shots = 1: a shot of each class is needed: give 0, or 2 at least")
        wanted = {"asking.n_shots": self.n_shots if FEW_SHOT in methods else 0, "weak.n_shots": weak_shots}
        for name, shots in wanted.items():
            if shots > n_truth:
                raise ValueError(f"{name} = {shots} are rows of weak-train: raise weak.n_truth = {n_truth}")
