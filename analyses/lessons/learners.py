"""A model and how it is trained: supervisor, ceiling and students alike."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from extract.asking.saying import Saying
from extract.models.source import ModelSource
from w2s_probes.devices import PROCESSOR, device_key
from w2s_probes.errors import InputError
from w2s_probes.progress import silent
from w2s_probes.students.finetuning.settings import NOT_OF_HEADS

from ..recipe.training import Training
from .activations import Activations
from .curves import Curves
from .result_cache import ResultCache

Note = Callable[[str], None]  # what is being done


@dataclass(frozen=True)
class Learner:
    """A model and how it is trained: a head on its activations, LoRA, all of its weights, or to say labels."""

    source: ModelSource
    training: Training
    activations: Activations | None  # for a head
    cache: ResultCache
    note: Note = field(default=silent, compare=False)
    curves: Curves | None = field(default=None, compare=False)
    keeps: bool = field(default=False, compare=False)  # the trained students themselves, beside their scores
    device: str = field(default=PROCESSOR, kw_only=True)  # on which heads are trained
    says: Saying | None = None  # of a model that says labels: how it is asked

    @property
    def reads_activations(self) -> bool:
        """Whether it trains a head."""
        return self.activations is not None

    @property
    def read(self) -> Activations:
        """The activations that its heads read; InputError where it trains none."""
        if self.activations is None:
            raise InputError(f"a model trained as {self.training.kind!r} reads no activations")
        return self.activations

    @property
    def description(self) -> dict[str, Any]:
        """The part of the cache key that model and training decide; rows, labels, loss and seed are the rest."""
        if self.activations is not None:
            settings = self.training.model_dump(mode="json", exclude={"finetuning": NOT_OF_HEADS})
            return {"reads": self.activations.identity, "training": settings} | device_key(self.device)
        speaks = self.says is not None
        tuned = {"finetuning": self.training.finetuning.facts(speaks=speaks)}
        said = {} if self.says is None else {"says": self.says.facts}
        return {"weights": self.source.weights, "training": self.training.model_dump(mode="json") | tuned} | said
