"""A method: a way from weak labels to an outcome, by students that the engine teaches for it."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.filtering.disagreement import FilterResult
from w2s_probes.labels.label_set import LabelSet

from ..lessons.engine import Steps
from ..lessons.lesson import Lesson, Misuse
from .declared_probes import EVERY_SETTING
from .gold_rows import GoldRows, GoldUse
from .outcomes import Outcome
from .trusted_rows import Trusted, TrustedRows
from .view import Experiment

# Yields a lesson, or several at a time; receives a `Trained` for the one, a list of them for several.
Lessons = Generator[Lesson | Sequence[Lesson], Any, Outcome]


@dataclass(frozen=True)
class FilterDecision:
    """The decision of a filter, before any student is trained."""

    result: FilterResult
    labels: NDArray[np.float64]  # (n_train,) what the student is taught of the rows that are kept


@dataclass(frozen=True)
class Method:
    """A way from weak labels to a student. What reads true labels is marked in tables: `oracle`, or `trusted`."""

    run: Callable[[Experiment], Outcome | Lessons]
    oracle: bool = False  # whether it may read the truth of strong-train and validation rows
    trusted: Trusted | None = None  # the true labels of weak-train that it may read; how many it has read is counted
    gold: GoldUse | None = None  # the true labels of strong-train that it may read, a few; counted likewise
    activations: bool = True  # whether it reads activations itself; a student that is a head always does
    students: int = 1  # how many it trains, for plans
    rounds: int = 1  # how many of them one after another, each taught by the one before; for plans
    # Of a filter: its decision alone. Its control, `control-random:NAME`, removes as many rows of each class by it.
    removal: Callable[[Experiment], FilterDecision] | None = None
    # The settings of `Probes` that it reads. Results are kept by these alone: a change of any other leaves them valid.
    settings: frozenset[str] = EVERY_SETTING
    # Added losses that it teaches by, beside the recipe's; None: any. What is kept of it counts their code alone.
    losses: frozenset[str] | None = None
    code: str | None = None  # a hash of the plugin's or the package's files that it is from
    raters: bool = False  # whether it reads the disagreement of several raters
    asks: bool = False  # whether it asks the strong model for its own opinion
    debates: bool = False  # whether it has supervisors taught under a control of the debate
    tuned: bool = False  # whether it asks the supervisor, a model that says labels (kind lm), and the same untuned
    fuses: bool = False  # whether it fuses the logits of the models of the recipe's `[fusion]`
    tokens: bool = False  # whether it reads every token of a row, not one vector
    pairs: bool = False  # whether it reads the contrast pairs of a task, both sides of each row
    layers: bool = False  # whether it reads the layers of the recipe's `[probes.layers]`, too
    ceiling: str = "ceiling"  # the method taught the truth, in units of whose gap this one's PGR is given


def run_method(
    name: str,
    method: Method,
    experiment: Experiment,
    truth: LabelSet,
    trusted: TrustedRows | None = None,
    gold: GoldRows | None = None,
) -> Steps[Outcome]:
    """The steps of a method, which sees the settings and the true labels that it declares.

    `truth` is for oracles, of `trusted` and `gold` rows for the methods that declare them; its outcome says how many
    true labels of these it has read.
    Misuse where it yields what is no lesson, or returns what is no outcome.
    """
    rows = trusted.of(method.trusted) if trusted is not None and method.trusted is not None else None
    if method.trusted is not None and rows is None:
        raise InputError(f"method {name!r} needs true labels of weak-train, and there are none: {method.trusted.why}")
    if method.gold is not None and gold is None:
        raise InputError(f"method {name!r} needs true labels of gold rows, and there are none: give [gold] n")
    known = gold.of(method.gold) if gold is not None and method.gold is not None else None
    view = experiment.view(method.settings, truth if method.oracle else None, rows, known)
    view = view if method.asks else replace(view, opinions=None)
    view = view if method.tuned else replace(view, tuned=None, base=None)
    view = view if method.pairs else replace(view, pairs=None)
    view = view if method.fuses else replace(view, fusing=None)
    view = view if method.gold is not None and method.gold.layers else replace(view, by_layer={})
    view = view if method.layers else replace(view, layer_activations=())
    view = view if method.debates else replace(view, debates=None)
    calibrating = None if view.calibrating is None else view.calibrating.of(GoldUse())  # none of them read yet
    outcome = yield from _outcome(name, method, replace(view, calibrating=calibrating))
    gold_read = frozenset[str]().union(*(one.read_ids for one in (known, calibrating) if one is not None))
    declared = rows is not None or known is not None
    counted = (rows.read if rows is not None else 0) + len(gold_read)
    return replace(outcome, trusted=counted if declared else outcome.trusted + counted)


def _outcome(name: str, method: Method, view: Experiment) -> Steps[Outcome]:
    running = method.run(view)
    if not isinstance(running, Generator):
        return _checked(name, running)
    go_on: Callable[[], Lesson | Sequence[Lesson]] = partial(next, running)
    while True:
        try:
            asked = go_on()
        except StopIteration as end:
            return _checked(name, end.value)
        lessons = [asked] if isinstance(asked, Lesson) else _several(name, asked)
        try:
            results = yield lessons
        except InputError as error:  # a lesson that could not be taught: the method may know what then
            go_on = partial(running.throw, error)
        else:
            go_on = partial(running.send, results[0] if isinstance(asked, Lesson) else list(results))


def _several(name: str, asked: object) -> list[Lesson]:
    lessons = list(asked) if isinstance(asked, Sequence) and not isinstance(asked, str) else []
    for lesson in lessons or [asked]:
        if not isinstance(lesson, Lesson):
            raise Misuse(
                f"method {name!r} yields {_kind(lesson)}: it yields `experiment.lesson(labels, mask)`, or several"
            )
    return lessons


def _checked(name: str, outcome: object) -> Outcome:
    if not isinstance(outcome, Outcome):
        raise Misuse(
            f"method {name!r} returns {_kind(outcome)}: it returns an Outcome, such as `experiment.outcome(student)`"
        )
    return outcome


def _kind(value: object) -> str:
    if isinstance(value, list) and not value:
        return "an empty list"
    return "nothing" if value is None else f"a {type(value).__name__}"
