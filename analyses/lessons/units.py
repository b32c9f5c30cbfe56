"""The pieces of a run that are sent to other processes: lessons taught together, and parts of an extraction."""

from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from extract.extractor import Extraction, extract_cached
from extract.models.source import ModelSource
from w2s_probes.devices import PROCESSOR
from w2s_probes.places.claims import Ticket, keeping
from w2s_probes.places.sealed import Sealed
from w2s_probes.progress import silent
from w2s_probes.share import Share
from w2s_probes.store.manifest import identity_key
from w2s_probes.students.finetuning.worker_processes import WorkerDiedError

from .activations import Activations
from .lesson import Lesson
from .teaching import Taught, teach


@dataclass(frozen=True, eq=False)
class LessonUnit:
    """Heads that are trained together, or one fine-tuning; results that others have kept meanwhile are read."""

    lessons: tuple[Lesson, ...]
    tickets: tuple[Ticket, ...] = ()  # of the claims on them

    @cached_property
    def key(self) -> str:
        """A hash of the lessons."""
        return identity_key({"lessons": [lesson.key for lesson in self.lessons]})

    @property
    def name(self) -> str:
        """The name in messages."""
        first = self.lessons[0]
        more = f" and {len(self.lessons) - 1} more" if len(self.lessons) > 1 else ""
        kind = "heads" if first.learner.reads_activations else "fine-tuning"
        return f"{kind} of {first.step or 'a lesson'}{more}"

    @property
    def on_gpu(self) -> bool:
        """Whether it is a fine-tuning, or heads that are trained on a device."""
        learner = self.lessons[0].learner
        return not learner.reads_activations or learner.device != PROCESSOR

    @property
    def shared(self) -> tuple[Any, ...]:
        """Nothing."""
        return ()

    def run(self) -> list[Taught]:
        """Teach the lessons and keep their results; those of each, in order."""
        with keeping(self.tickets):
            known = {lesson.key: Taught(kept) for lesson in self.lessons if (kept := lesson.kept()) is not None}
            missing = [lesson for lesson in self.lessons if lesson.key not in known]
            if missing:
                try:
                    taught = teach(missing)
                except WorkerDiedError as error:
                    raise WorkerDiedError(f"{self.name}: {error}") from error
                known |= zip((lesson.key for lesson in missing), taught, strict=True)
            return [known[lesson.key] for lesson in self.lessons]

    def packed(self) -> Sealed:
        """The unit as it is sent to a cluster."""
        return Sealed.of(self)

    def unpacked(self, shared: tuple[Any, ...]) -> "LessonUnit":
        """The same."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {"lessons": tuple(map(portable, self.lessons)), "tickets": self.tickets}


@dataclass(frozen=True, eq=False)
class ExtractionUnit:
    """Every n-th part of a store that is being made, cut as one process would cut it."""

    plan: Extraction
    out: Path
    share: Share
    tickets: tuple[Ticket, ...] = ()

    @property
    def key(self) -> str:
        """The store's key and the share."""
        return f"{self.plan.key}-{self.share.index}-{self.share.count}"

    @property
    def name(self) -> str:
        """The name in messages."""
        return f"extraction {self.share.index}/{self.share.count} from {self.plan.source.name}"

    @property
    def on_gpu(self) -> bool:
        """It is a forward pass of a large model."""
        return True

    @property
    def shared(self) -> tuple[Any, ...]:
        """Nothing."""
        return ()

    def run(self) -> None:
        """Write the parts that are missing."""
        with keeping(self.tickets):
            self.plan.run(self.out, share=self.share, cut_for=1)

    def packed(self) -> Sealed:
        """The unit as it is sent to a cluster."""
        plan = replace(self.plan, source=_portable_source(self.plan.source))
        return Sealed.of(replace(self, plan=plan, out=self.out.absolute()))

    def unpacked(self, shared: tuple[Any, ...]) -> "ExtractionUnit":
        """The same."""
        return self


def portable(lesson: Lesson) -> Lesson:
    """A lesson that can be pickled: paths are absolute, nothing reports to this process, no activations go along."""
    learner = lesson.learner
    tables = [lesson.fit.rows, lesson.stop.rows, *lesson.predict.values()]
    source = _portable_source(learner.source)
    moved = replace(
        learner,
        source=source,
        says=learner.says and learner.says.moved(source),
        activations=learner.activations and _portable_activations(learner.activations, tables),
        cache=replace(learner.cache, folder=learner.cache.folder.absolute(), timer=nullcontext),
        note=silent,
        curves=learner.curves and replace(learner.curves, folder=learner.curves.folder.absolute()),
    )
    result = replace(lesson, learner=moved, start=lesson.start and portable(lesson.start))
    vars(result)["description"] = lesson.description  # so that no worker hashes a checkpoint again
    return result


def _portable_activations(activations: Activations, tables: list[pd.DataFrame]) -> Activations:
    rows: pd.DataFrame = pd.concat([table[["id", "text"]] for table in tables]).drop_duplicates("id")
    moved = replace(
        activations,
        source=_portable_source(activations.source),
        rows=rows.reset_index(drop=True),
        folder=activations.folder.absolute(),
        progress=silent,
        timer=nullcontext,
        extract=extract_cached,
        _read=OrderedDict(),
    )
    vars(moved)["identity"] = activations.identity
    return moved


def _portable_source(source: ModelSource) -> ModelSource:
    """The model under an absolute path; nothing of it that is loaded goes along."""
    return replace(source, folder=source.folder.absolute())
