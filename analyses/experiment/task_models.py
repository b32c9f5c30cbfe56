"""The models of one task: their activations, learners of them, and the cache of their results."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from extract.extractor import extract_cached
from extract.models.source import ModelSource
from extract.tasks.contrast import contrast_key, contrast_rows
from w2s_probes.devices import PROCESSOR
from w2s_probes.progress import RowsRead

from ..lessons.activations import Activations, Extract
from ..lessons.clock import Clock
from ..lessons.curves import Curves
from ..lessons.learners import Learner
from ..lessons.result_cache import ResultCache
from ..recipe.asking import AskedAs
from ..recipe.schema import Strong, Weak
from ..recipe.section import vector_position
from ..recipe.training import Training
from .opinions import Opinions, in_one_dtype
from .pair_probes import PairActivations

ACTIVATIONS, CONTRAST, KEPT = "activations", "contrast", "kept"


@dataclass
class Sources:
    """Models by name. Each is looked up once: the hash of a large checkpoint takes a while."""

    by_name: dict[str, ModelSource] = field(default_factory=dict)
    extract: Extract = extract_cached  # how the activations of their rows are made

    def find(self, name: str) -> ModelSource:
        """The model of this name; InputError if there is none."""
        if name not in self.by_name:
            self.by_name[name] = ModelSource.find(name)
        return self.by_name[name]


@dataclass(frozen=True)
class TaskModels:
    """Models that read and learn from the rows of one task, over all of its seeds."""

    task: str
    rows: pd.DataFrame  # id, text: all that any model here will read
    folder: Path  # of activations and kept results
    sources: Sources
    clock: Clock
    curves: Curves | None = None
    keeps: bool = False  # the trained students themselves, beside their scores
    keeps_supervisor: bool = False  # the supervisor's trained model, which some method asks
    asked: AskedAs = field(default=AskedAs())  # with the answers of this task
    contrast: tuple[str, str] | None = None  # the templates of the task's contrast pairs; None where it has none
    device: str = PROCESSOR  # on which heads are trained
    _reading: dict[tuple[str, int | str, str, str, bool], Activations] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def cache(self) -> ResultCache:
        """The cache of results."""
        return ResultCache(self.folder / KEPT, self.clock.timer)

    def of_rows(self, rows: pd.DataFrame) -> "TaskModels":
        """The same models for other rows."""
        return replace(self, rows=rows, _reading={})

    def activations(self, model: Strong | Weak) -> Activations:
        """A model's activations at its layer and position; the mean of a row's tokens where attention pools them."""
        return self._activations(model, vector_position(model.position))

    def tokens(self, model: Strong) -> Activations:
        """A model's activations of every token, at its layer."""
        return self._activations(model, "all")

    def pairs(self, model: Strong) -> PairActivations | None:
        """A model's activations of both sides of the task's contrast pairs; None where it has none."""
        if self.contrast is None:
            return None
        position = vector_position(model.position)
        return PairActivations(self._activations(model, position, self.contrast), self.contrast)

    def _activations(self, model: Strong | Weak, position: str, contrast: tuple[str, str] | None = None) -> Activations:
        """Of the rows, or of their sides, whose stores no other templates share: ids do not tell these apart."""
        assert model.model is not None
        site = model.site if isinstance(model, Strong) else "residual"
        key = (model.model, model.layer, site, position, contrast is not None)
        if key not in self._reading:
            name = Path(model.model).name

            def progress(read: RowsRead, /) -> None:
                self.clock.within(f"activations of {name}, row {read.rows} of {read.of_rows}")

            source = self.sources.find(model.model)
            self._reading[key] = Activations(
                source,
                model.layer,
                position,
                self.rows if contrast is None else contrast_rows(self.rows, contrast),
                self.folder / (ACTIVATIONS if contrast is None else f"{CONTRAST}/{contrast_key(contrast)}"),
                site,
                progress,
                self.clock.timer,
                self.sources.extract,
            )
        return self._reading[key]

    @property
    def stores(self) -> list[str]:
        """The keys of the stores that have been read."""
        read = [activations for activations in self._reading.values() if "stores" in vars(activations)]
        return sorted({store.key for activations in read for store in activations.stores})

    def opinions(self, model: Strong | Weak) -> Opinions:
        """A model's own opinion of rows."""
        assert model.model is not None
        return self.opinions_of(model.model)

    def opinions_of(self, name: str) -> Opinions:
        """The opinion of the model of this name."""
        return Opinions(self.sources.find(name), self.asked, self.cache)

    def before_and_after(self, model: Weak, tuned: Path) -> tuple[Opinions, Opinions]:
        """The opinions of a model before it learned to say labels, and after, when it is `tuned` in this folder."""
        base = self.opinions(model)
        before, after = in_one_dtype(base, replace(base, source=ModelSource.find(str(tuned))))
        return before, after

    def learner(self, model: Strong | Weak, training: Training) -> Learner:
        """A model and its training; of a model that says labels its own words and prompt."""
        assert model.model is not None
        says = self.opinions(model).saying if training.kind == "lm" else None
        activations = self.activations(model) if training.kind == "head" else None
        return Learner(
            self.sources.find(model.model),
            training,
            activations,
            self.cache,
            self.clock.within,
            self.curves,
            self.keeps or (self.keeps_supervisor and isinstance(model, Weak)),
            says=says,
            device=self.device,
        )


def every_row(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows (id, text) of several tables, each once."""
    rows: pd.DataFrame = pd.concat([table[["id", "text"]] for table in tables])
    return rows.drop_duplicates("id").sort_values("id").reset_index(drop=True)
