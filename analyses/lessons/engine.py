"""The engine: steps that ask for lessons go on side by side, and what they ask for is taught together.

A step is a generator. It yields the lessons that it needs, receives their results, and returns its own. All steps of a
trial go on until each of them waits; then the lessons that the cache lacks are taught, heads of the same rows in one
loop.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

from w2s_probes.devices import DeviceError
from w2s_probes.errors import InputError

from .clock import Clock
from .lesson import TRAINED, Lesson, Misuse, Trained
from .teaching import Taught, account, batches, teach

T = TypeVar("T")
Steps = Generator[Sequence[Lesson], Sequence[Trained], T]  # yields lessons, receives their results, returns its own
Answers = dict[str, Taught]  # by the lessons' keys
StepLessons = dict[str, list[Lesson]]  # by the step that asked for them
Rounds = Generator[list[Lesson], Answers, T]  # yields lessons newly asked for, receives results, perhaps not yet all


class Teacher(Protocol):
    """A place where lessons are taught."""

    def ask(self, lessons: Iterable[Lesson]) -> None:
        """Take lessons in hand; one that has been taken already, or that the cache has, is not taught again."""
        ...

    def answers(self) -> Answers:
        """Some results, as soon as there are any."""
        ...


class Here:
    """Teaches in this process: all heads that were asked for, then one fine-tuning at a time."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._ready: Answers = {}
        self._asked: dict[str, Lesson] = {}

    def ask(self, lessons: Iterable[Lesson]) -> None:
        """Look lessons up; those that the cache lacks wait to be taught."""
        for lesson in lessons:
            if lesson.key in self._ready or lesson.key in self._asked:
                continue
            if (kept := lesson.kept()) is not None:
                self._ready[lesson.key] = Taught(kept)
            else:
                self._asked[lesson.key] = lesson

    def answers(self) -> Answers:
        """What is kept or, where nothing is left of that, the results of the next batch."""
        if not self._ready:
            together, *_ = batches(list(self._asked.values()))
            first = together[0]
            if first.learner.reads_activations:
                with self.clock.step(first.step):
                    first.learner.read.ensure()  # on this step's account
            self.clock.report(account(together))
            self._ready = dict(zip((lesson.key for lesson in together), teach(together), strict=True))
            for key in self._ready:
                del self._asked[key]
        ready, self._ready = self._ready, {}
        return ready


def drive(rounds: Rounds[T], teacher: Teacher) -> T:
    """Run one trial to its end."""
    return conduct([rounds], teacher)[0]


def conduct(trials: Iterable[Rounds[T]], teacher: Teacher, at_once: int = 1) -> list[T]:
    """Run trials to their ends, `at_once` at a time; their results in order."""
    results: dict[int, T] = {}
    waiting: dict[int, Rounds[T]] = {}

    def goes_on(number: int, rounds: Rounds[T], answers: Answers | None) -> bool:
        try:
            teacher.ask(next(rounds) if answers is None else rounds.send(answers))
        except StopIteration as end:
            results[number] = end.value
            return False
        return True

    begun = enumerate(trials)
    while True:
        while len(waiting) < at_once and (following := next(begun, None)) is not None:
            if goes_on(*following, None):
                waiting[following[0]] = following[1]
        if not waiting:
            return [results[number] for number in sorted(results)]
        answers = teacher.answers()
        waiting = {number: rounds for number, rounds in waiting.items() if goes_on(number, rounds, answers)}


def side_by_side(steps: Sequence[Steps[T]]) -> Steps[list[T]]:
    """Several steps as one: what they ask for at a time is asked for at once. The first error ends all."""
    results: dict[int, T] = {}
    answers: dict[int, Sequence[Trained]] = {}
    running = dict(enumerate(steps))
    while running:
        asked: dict[int, Sequence[Lesson]] = {}
        for number, one in running.items():
            try:
                asked[number] = one.send(answers[number]) if number in answers else next(one)
            except StopIteration as end:
                results[number] = end.value
        running = {number: one for number, one in running.items() if number in asked}
        if running:
            given = iter((yield [lesson for lessons in asked.values() for lesson in lessons]))
            answers = {number: [next(given) for _ in lessons] for number, lessons in asked.items()}
    return [results[number] for number in range(len(steps))]


def together(
    steps: Mapping[str, Steps[T]], clock: Clock, asked_for: StepLessons | None = None
) -> Rounds[dict[str, T | InputError]]:
    """Advance steps side by side; their results by name, or the error that ended one.

    A step that fails leaves the others as they are; a `Misuse`, a device that lacks memory, or what is no InputError,
    ends all. The lessons that
    each step asks for are put into `asked_for`.
    """
    results: dict[str, T | InputError] = {}
    waiting: dict[str, list[Lesson]] = {}
    known: Answers = {}
    wanted: dict[str, Lesson] = {}  # newly
    charged: set[str] = set()  # lessons whose time has been counted for a step

    def advance(name: str, answers: Sequence[Taught] | None) -> None:
        with clock.step(name):
            try:
                asked = _advanced(steps[name], answers)
            except StopIteration as end:
                results[name] = end.value
            except (Misuse, DeviceError):
                raise
            except InputError as error:
                results[name] = error
            else:
                waiting[name] = [lesson.of_step(name) for lesson in asked]
                if asked_for is not None:
                    asked_for.setdefault(name, []).extend(waiting[name])
                for lesson in waiting[name]:  # of equal ones that whose student is to be kept
                    if lesson.key not in known and not (lesson.key in wanted and wanted[lesson.key].learner.keeps):
                        wanted[lesson.key] = lesson
        if name in results:
            clock.finished(name)

    for name in steps:
        advance(name, None)
    while waiting:
        ready = [name for name, lessons in waiting.items() if all(lesson.key in known for lesson in lessons)]
        for name in ready:
            answers = {lesson.key: known[lesson.key] for lesson in waiting[name]}
            for lesson_key, answer in answers.items():
                if answer.seconds is not None and lesson_key not in charged:
                    charged.add(lesson_key)
                    clock.charge(name, TRAINED, answer.seconds)
            advance(name, [known[lesson.key] for lesson in waiting.pop(name)])
        if not ready:
            asked, wanted = list(wanted.values()), {}
            known |= yield asked
    return {name: results[name] for name in steps}


def _advanced(running: Steps[Any], answers: Sequence[Taught] | None) -> Sequence[Lesson]:
    """The lessons that a step asks for next, given the results of those before."""
    if answers is None:
        return next(running)
    results = [answer.result for answer in answers]
    for result in results:
        if isinstance(result, InputError):
            return running.throw(result)
    return running.send(cast("list[Trained]", results))
