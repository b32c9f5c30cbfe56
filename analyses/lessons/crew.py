"""A teacher whose lessons are taught at a place: in this process, in several, or on a cluster; with claims on each.

Processes that share a cache share the work: what another one has claimed is waited for, and taken over if it dies.
"""

import time
from collections.abc import Iterable
from pathlib import Path

from extract.extractor import Extraction
from w2s_probes.errors import InputError
from w2s_probes.losses.added import of_this_process
from w2s_probes.places import HERE, Place, WorkKind
from w2s_probes.places.claims import LEASE, POLL, Claim, Claims
from w2s_probes.places.pool import Handout
from w2s_probes.places.work import PACKAGES
from w2s_probes.progress import RowProgress, RowsRead
from w2s_probes.share import Share
from w2s_probes.store.activation_store import ActivationStore

from .clock import Clock
from .engine import Answers
from .lesson import TRAINED, Lesson, Trained
from .teaching import Taught, account, batches
from .units import ExtractionUnit, LessonUnit

TRAININGS = WorkKind(
    one="training",
    many="trainings",
    smaller="take a smaller model",
    packages=(*PACKAGES, "torch", "transformers", "tokenizers", "peft", "nnsight"),
)
AHEAD = 2  # units for each worker of a cluster: one that ends finds another waiting
COUNTED = 5.0  # seconds between counts of a cluster's workers
MOST = 32  # trials under way at a time: each holds what it has read


class Crew:
    """Teaches lessons, and extracts activations, wherever the place has room for them."""

    def __init__(self, clock: Clock, place: Place = HERE, *, shared: bool = False, lease: float = LEASE) -> None:
        self.clock, self._place, self._shared = clock, place, shared
        self.claims = Claims(lease)
        self._at_once = place.at_once(place.jobs, 1)
        self._workers = place.workers(self._at_once, TRAININGS)
        self._handout = Handout[LessonUnit | ExtractionUnit](self._workers, kind=TRAININGS)
        self._ready: Answers = {}
        self._asked: dict[str, Lesson] = {}
        self._in_hand: dict[str, list[tuple[Lesson, Claim]]] = {}  # by the units' keys
        self._others: dict[str, Lesson] = {}  # that other processes have claimed
        self._begun: dict[str, tuple[Claim, list[ExtractionUnit]]] = {}  # by the stores' keys
        self._extracted: set[str] = set()  # keys of units
        self._pause = self._next_look = 0.0
        self._counted, self._room_there = float("-inf"), 1

    @property
    def trials_at_once(self) -> int:
        """The number of trials under way at a time: so many that workers find lessons while one waits for its own."""
        if self._place.backend != "local":
            return max(4, min(MOST, 2 * self._workers.count()))
        return self._at_once + (self._at_once > 1 or self._shared)

    def ask(self, lessons: Iterable[Lesson]) -> None:
        """Look lessons up; those that the cache lacks wait to be handed out."""
        for lesson in lessons:
            if lesson.key in self._ready or lesson.key in self._asked or lesson.key in self._others:
                continue
            if any(lesson.key == other.key for unit in self._in_hand.values() for other, _ in unit):
                continue
            if (kept := lesson.kept()) is not None:
                self._ready[lesson.key] = Taught(kept)
            else:
                self._asked[lesson.key] = lesson

    def answers(self) -> Answers:
        """Some results: kept, taught here, or by another process."""
        self._pause = POLL[0]
        while not self._ready:
            self._hand_out()
            if self._ready:
                break
            if self._handout.left:
                self._collect(POLL[1] if self._others else None)
            elif self._others:
                self._wait_for_others()
            self._look_at_others()
        ready, self._ready = self._ready, {}
        return ready

    @property
    def alone(self) -> bool:
        """Whether one unit is done at a time."""
        return self._workers.at_once == 1

    def begin(self, plan: Extraction, folder: Path, among: int = 1) -> None:
        """Hand out the parts of a store that will be asked for, one of `among` such; not what another process makes."""
        out = _store(plan, folder)
        if plan.key in self._begun or (claim := self.claims.take(out)) is None:
            return
        missing = len(plan.writer(out).missing())
        if not missing:
            claim.release(made=True)
            return
        count = min(missing, max(1, self._room() // among))  # each loads the model
        units = [ExtractionUnit(plan, out, Share(index, count), (claim.ticket,)) for index in range(count)]
        self._begun[plan.key] = claim, units
        self._handout.add(units, first=True)

    def extract(self, plan: Extraction, folder: Path, progress: RowProgress) -> ActivationStore:
        """The planned store in a folder of stores; its parts are read by all workers, each part by one."""
        out = _store(plan, folder)
        if self.alone:
            return self.claims.made_once(out, lambda: _finished(plan, out), lambda: _made(plan, out, progress))
        self._pause = POLL[0]
        while (store := _finished(plan, out)) is None:
            self.begin(plan, folder)
            if plan.key in self._begun:
                self._wait_for_parts(plan, progress)
                store = _made(plan, out, progress)
                self._begun.pop(plan.key)[0].release(made=True)
                return store
            if self._handout.left:
                self._collect(POLL[1])
            else:
                self._rest()
        return store

    def close(self) -> None:
        """Stop what is in hand, and let others have it."""
        self._workers.close()
        self.claims.close()

    def _wait_for_parts(self, plan: Extraction, progress: RowProgress) -> None:
        units = self._begun[plan.key][1]
        while (done := sum(unit.key in self._extracted for unit in units)) < len(units):
            progress(RowsRead(done * len(plan.rows) // len(units), len(plan.rows)))
            self._collect(None)
        progress(RowsRead(len(plan.rows), len(plan.rows)))

    def _hand_out(self) -> None:
        """Claim lessons and hand them out, as long as there is room."""
        for together in batches(list(self._asked.values())):
            if self._handout.left >= self._room():
                return
            first = together[0]
            if first.learner.reads_activations:
                with self.clock.step(first.step):
                    first.learner.read.ensure()  # on this step's account
            mine: list[tuple[Lesson, Claim]] = []
            for lesson in together:
                del self._asked[lesson.key]
                if (claim := self.claims.take(lesson.learner.cache.path(TRAINED, lesson.description))) is None:
                    self._others[lesson.key] = lesson
                elif (kept := lesson.kept()) is not None:  # by one who had the claim until now
                    claim.release(made=True)
                    self._ready[lesson.key] = Taught(kept)
                else:
                    mine.append((lesson, claim))
            unknown = of_this_process(lesson.loss for lesson, _ in mine)
            known = [pair for pair in mine if pair[0].loss not in unknown]
            if known:
                unit = _unit(known)
                self._in_hand[unit.key] = known
                self.clock.report(account(unit.lessons))
                self._handout.add([unit])
            if others := [pair for pair in mine if pair[0].loss in unknown]:
                unit = _unit(others)
                self.clock.report(account(unit.lessons))
                self._take(others, unit.run())

    def _room(self) -> int:
        """The number of units in hand at a time. No more are claimed, so that others find some, too."""
        if self._place.backend == "local":
            return self._at_once
        if time.monotonic() - self._counted > COUNTED:
            self._room_there, self._counted = AHEAD * max(1, self._workers.count()), time.monotonic()
        return self._room_there

    def _collect(self, patience: float | None) -> None:
        """Take the results of the units that end next."""
        for unit, results in self._handout.ended(patience):
            if isinstance(unit, ExtractionUnit):
                self._extracted.add(unit.key)
                continue
            self._take(self._in_hand.pop(unit.key), results)
        if self._handout.deserted:
            self.clock.within("no worker yet")

    def _take(self, lessons: list[tuple[Lesson, Claim]], results: list[Taught]) -> None:
        """Take the results of lessons, and release the claims on them."""
        for (lesson, claim), taught in zip(lessons, results, strict=True):
            claim.release(made=isinstance(taught.result, Trained))
            self._ready[lesson.key] = taught

    def _wait_for_others(self) -> None:
        first = next(iter(self._others.values()))
        self.clock.report(f"{first.step} (another process is at it)")
        self._rest()

    def _rest(self) -> None:
        time.sleep(self._pause)
        self._pause = min(POLL[1], 1.5 * self._pause)

    def _look_at_others(self) -> None:
        """Take what other processes have made, and try again to claim what they have not."""
        if not self._others or (now := time.monotonic()) < self._next_look:
            return
        self._next_look = now + self._pause
        others, self._others = self._others, {}
        self.ask(others.values())


def _store(plan: Extraction, folder: Path) -> Path:
    """Where `extract_cached` puts a store."""
    return (folder / plan.key[:16]).absolute()


def _finished(plan: Extraction, out: Path) -> ActivationStore | None:
    return ActivationStore.open(out) if plan.writer(out).finished else None


def _made(plan: Extraction, out: Path, progress: RowProgress) -> ActivationStore:
    """The store, of which this process makes what is missing."""
    store = plan.run(out, progress=progress)
    assert store is not None  # no other process had a share
    return store


def _unit(lessons: list[tuple[Lesson, Claim]]) -> LessonUnit:
    return LessonUnit(tuple(lesson for lesson, _ in lessons), tuple(claim.ticket for _, claim in lessons))


def refuse_processes(place: Place, share: Share | None, processes: int) -> None:
    """InputError where torchrun's processes would each start workers of their own."""
    if processes > 1 and (place != HERE or share is not None):
        raise InputError(
            f"torchrun has started {processes} processes, which share every batch of a fine-tuning: leave out --jobs, "
            "--backend and --shard, or torchrun"
        )
