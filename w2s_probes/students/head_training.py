"""One loop of matrix products in which any number of heads learn from the same rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError
from ..losses.batched import ObjectiveGroup, refuse_unbatched
from ..losses.thresholds import batches
from ..randomness import torch_seed
from .head_lesson import HeadLesson, Pupil
from .head_steps import HeadWeights
from .standard_rows import OwnStandards, StandardRows
from .stopping import Criterion
from .threads import one_thread

FEWEST_BATCHES = 16  # an epoch: small sets get smaller batches, or Adam's steps would be too few to get anywhere
INITIAL_SCALE = 0.01  # of a usual initialisation, so that training starts from predictions near one half
GATHERED = 1 << 18  # numbers that are put in the order of an epoch at once

Weights = torch.Tensor  # (d + 1,) on x of all rows


@dataclass(frozen=True)
class Learned:
    """A trained head, on raw activations."""

    coef: NDArray[np.float64]  # (d,) the weights of the second logit less those of the first
    intercept: float
    n_epochs: int  # the epoch that was chosen
    alpha: float | None  # the weight of the student's own opinion there
    soft: bool  # whether a label was neither 0 nor 1


def learn(
    X: NDArray[np.float32],
    lessons: Sequence[HeadLesson],
    X_val: NDArray[np.float32] | None,
    *,
    batch_size: int,
    seed: int,
) -> list[Learned | InputError]:
    """A head for each lesson on X (n, d), or why there is none; X_val (m, d) are validation rows."""
    batch = min(batch_size, max(1, len(X) // FEWEST_BATCHES))
    found: list[Pupil | InputError] = []
    for lesson in lessons:
        try:
            pupil = Pupil.of(lesson, len(X), None if X_val is None else len(X_val), -(-len(X) // batch))
            if len(lessons) > 1:
                refuse_unbatched(pupil.objective)
            found.append(pupil)
        except InputError as error:
            found.append(error)
    pupils = [pupil for pupil in found if isinstance(pupil, Pupil)]
    if not pupils:
        return [error for error in found if isinstance(error, InputError)]
    with one_thread(), torch.inference_mode():
        standard = StandardRows.of(X)
        val = None if X_val is None else standard.others(X_val)
        taught = iter(teach(standard, val, pupils, batch=batch, seed=seed))
    results: list[Learned | InputError] = []
    for head in found:
        if isinstance(head, InputError):
            results.append(head)
        elif isinstance(weights := next(taught), InputError):
            results.append(weights)
        else:
            results.append(Learned(*standard.raw(weights), head.n_epochs, head.alpha, head.soft))
    return results


def teach(
    standard: StandardRows, val: torch.Tensor | None, pupils: Sequence[Pupil], *, batch: int, seed: int
) -> list[Weights | InputError]:
    """Train the pupils, which are told what was chosen, and give each one's weights; InputError of one that diverged.

    `val` (m, d + 1) are validation rows, standardised alike. All pupils read batches in the order that `seed` decides.
    """
    course = Course(standard, pupils, batch, seed)
    results: dict[int, Weights | InputError] = {}
    chosen: dict[int, Weights] = {}
    epoch = 0
    while course.pupils:
        epoch += 1
        course.run_epoch()
        finite = torch.isfinite(course.weights.seen).all(dim=1).numpy()
        ramping, own_weight = course.ramping, course.own_weight
        judges = [
            not ramps or epoch >= pupil.lesson.epochs for ramps, pupil in zip(ramping, course.pupils, strict=True)
        ]
        scores = np.full(len(finite), np.nan)
        if val is not None and any(judges):
            margins = (course.weights.seen @ val.T).numpy()
            finite &= np.isfinite(margins).all(axis=1)
            scores = course.scores(margins)
        for place, pupil in enumerate(course.pupils):
            key, lesson = id(pupil), pupil.lesson
            if not finite[place]:
                results[key] = InputError(
                    f"the head diverged at step {course.steps}: lower the learning rate ({lesson.learning_rate:g})"
                )
                continue
            last = epoch >= lesson.epochs
            if pupil.criterion is None:
                if last:
                    chosen[key], pupil.alpha = course.weights.seen[place].clone(), own_weight[place]
            elif judges[place]:  # while the loss itself still changes, nothing is chosen or concluded
                pupil.since += 1
                if scores[place] > pupil.score:
                    pupil.score, pupil.n_epochs, pupil.since = float(scores[place]), epoch, 0
                    chosen[key], pupil.alpha = course.weights.seen[place].clone(), own_weight[place]
            if last or (pupil.criterion is not None and pupil.since >= lesson.patience):
                results[key] = chosen.pop(key)
        course.leave([place for place, pupil in enumerate(course.pupils) if id(pupil) in results])
    return [results[id(pupil)] for pupil in pupils]


class Course:
    """The heads that still learn, and what they share: the rows, their order, and every matrix product.

    Weights lie in the order of `pupils`, those that read all rows first; losses in that of their groups.
    """

    def __init__(self, standard: StandardRows, pupils: Sequence[Pupil], batch: int, seed: int) -> None:
        self._rows, self._batch = standard.rows, batch
        self._sizes = {min(batch, len(standard.rows)), len(standard.rows) % batch} - {0}
        grouped = groupby(sorted(pupils, key=_group), key=_group)
        groups = {key: list(members) for key, members in grouped}
        self._numbers = {id(pupil): i for i, members in enumerate(groups.values()) for pupil in members}
        self._groups: dict[int, ObjectiveGroup] = {}
        self.pupils = sorted(pupils, key=lambda pupil: (pupil.rows is not None, self._numbers[id(pupil)]))
        for number in range(len(groups)):
            members = [pupil for pupil in self.pupils if self._numbers[id(pupil)] == number]
            self._groups[number] = ObjectiveGroup([pupil.objective for pupil in members])
        width = standard.rows.shape[1] - 1
        self._generator = torch.Generator().manual_seed(torch_seed(seed, "head"))
        initial = {seed: _initial(width, self._generator)}
        for other in {pupil.lesson.seed for pupil in pupils} - {seed}:
            initial[other] = _initial(width, torch.Generator().manual_seed(torch_seed(other, "head")))
        masks = [pupil.rows for pupil in self.pupils if pupil.rows is not None]
        self.weights = HeadWeights(
            torch.stack([initial[pupil.lesson.seed] for pupil in self.pupils]),
            OwnStandards.of(standard, masks) if masks else None,
            [pupil.lesson.learning_rate for pupil in self.pupils],
            [pupil.lesson.l2 for pupil in self.pupils],
        )
        self.steps = 0
        self._arrange()

    def _arrange(self) -> None:
        """Set what follows from the heads that are left."""
        numbers = [self._numbers[id(pupil)] for pupil in self.pupils]
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        straight = order == list(range(len(order)))
        self._to_losses = None if straight else torch.tensor(order)
        self._to_weights = None if straight else torch.tensor(order).argsort()
        inside = [self.pupils[place] for place in order]
        self._spans = []
        for number in sorted(set(numbers)):
            places = [i for i, place in enumerate(order) if numbers[place] == number]
            self._spans.append((self._groups[number], slice(places[0], places[-1] + 1)))
        self._labels = torch.stack([pupil.labels for pupil in inside])
        self._taught: torch.Tensor | None = None
        self._weight: torch.Tensor | None = None
        if any(pupil.rows is not None for pupil in inside):
            everyone = np.ones(len(self._rows), dtype=bool)
            masks = [everyone if pupil.rows is None else pupil.rows for pupil in inside]
            self._taught = torch.from_numpy(np.array(masks))
            self._weight = self._taught.float()
        if any(pupil.weight is not None for pupil in inside):
            ones = torch.ones(len(self._rows))
            given = torch.stack([ones if pupil.weight is None else pupil.weight for pupil in inside])
            self._weight = given if self._weight is None else given * self._weight
        self._desks = {size: Desk(len(inside), size, self._spans) for size in self._sizes}
        self._criteria = []
        for stop in {pupil.criterion.stop for pupil in self.pupils if pupil.criterion is not None}:
            judged = [
                (place, pupil.criterion.soft)
                for place, pupil in enumerate(self.pupils)
                if pupil.criterion is not None and pupil.criterion.stop == stop
            ]
            places = [place for place, _ in judged]
            self._criteria.append((places, Criterion(stop, np.array([soft for _, soft in judged]))))

    def leave(self, places: Sequence[int]) -> None:
        """Go on without the heads at these places."""
        if not places:
            return
        kept = [place for place in range(len(self.pupils)) if place not in set(places)]
        for number, group in list(self._groups.items()):
            members = [place for place, pupil in enumerate(self.pupils) if self._numbers[id(pupil)] == number]
            group.keep([i for i, place in enumerate(members) if place in set(kept)])
            if group.size == 0:
                del self._groups[number]
        self.pupils = [self.pupils[place] for place in kept]
        if kept:
            self.weights.keep(kept)
            self._arrange()

    def run_epoch(self) -> None:
        """Teach every row once."""
        order = torch.randperm(len(self._rows), generator=self._generator)
        labels = self._labels[:, order]
        taught = None if self._taught is None else self._taught[:, order]
        weight = None if self._weight is None else self._shares(self._weight[:, order], taught)
        for group, span in self._spans:
            rows = None if taught is None or bool(taught[span].all()) else taught[span]
            group.begin(labels[span], rows, self._batch)
        start = 0
        for X in self._batches(order):
            end = start + len(X)
            desk = self._desks[len(X)]
            desk.soft.copy_(labels[:, start:end])
            if weight is not None:
                desk.weight.copy_(weight[:, start:end])
            self._step(desk, X)
            start = end

    def _shares(self, weight: torch.Tensor, taught: torch.Tensor | None) -> torch.Tensor:
        """Weights (heads, n) over the rows of the batch that each head is taught."""
        parts = batches(weight, self._batch)
        if taught is None:
            return torch.cat([part / part.shape[1] for part in parts], dim=1)
        counts = (part.sum(dim=1, keepdim=True).clamp(min=1) for part in batches(taught, self._batch))
        return torch.cat([part / count for part, count in zip(parts, counts, strict=True)], dim=1)

    def _batches(self, order: torch.Tensor) -> Iterator[torch.Tensor]:
        """The rows (batch, d + 1) in this order, of which several batches are gathered at once where they are small."""
        at_once = self._batch * max(1, GATHERED // (self._batch * self._rows.shape[1]))
        for start in range(0, len(order), at_once):
            gathered = self._rows.index_select(0, order[start : start + at_once])
            for first in range(0, len(gathered), self._batch):
                yield gathered[first : first + self._batch]

    def _step(self, desk: "Desk", X: torch.Tensor) -> None:
        weights = self.weights
        if self._to_losses is None:
            torch.mm(weights.seen, X.t(), out=desk.margins)
        else:
            torch.index_select(weights.seen @ X.t(), 0, self._to_losses, out=desk.margins)
        torch.sigmoid(desk.margins, out=desk.p)
        for group, views in desk.groups:
            group.slopes(*views)
        slopes = desk.slopes if self._to_weights is None else desk.slopes.index_select(0, self._to_weights)
        torch.mm(slopes, X, out=weights.gradient)
        weights.step()
        self.steps += 1

    def scores(self, margins: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each head's criterion says of its log-odds (heads, m); NaN where it has none."""
        found = np.full(len(self.pupils), np.nan)
        for places, criterion in self._criteria:
            found[places] = criterion.scores(margins[places])
        return found

    @property
    def ramping(self) -> list[bool]:
        """Of each pupil."""
        return [self._groups[self._numbers[id(pupil)]].lead.ramping for pupil in self.pupils]

    @property
    def own_weight(self) -> list[float | None]:
        """Of each pupil."""
        return [self._groups[self._numbers[id(pupil)]].lead.own_weight for pupil in self.pupils]


class Desk:
    """Where a batch of one size is worked on: matrices (heads, rows), and the part of each group of losses."""

    def __init__(self, heads: int, rows: int, spans: Sequence[tuple[ObjectiveGroup, slice]]) -> None:
        self.margins, self.p, self.soft, self.slopes = torch.empty(4, heads, rows)
        self.weight = torch.full((heads, rows), 1 / rows)
        matrices = self.margins, self.p, self.soft, self.weight, self.slopes
        self.groups = [(group, tuple(matrix[span] for matrix in matrices)) for group, span in spans]


def _group(pupil: Pupil) -> str:
    return repr(ObjectiveGroup.key(pupil.objective))


def _initial(width: int, generator: torch.Generator) -> torch.Tensor:
    """The weights (d + 1,) that a head begins with: the difference of two logits' usual ones, and no bias."""
    logits = torch.empty(2, width).normal_(std=INITIAL_SCALE * width**-0.5, generator=generator)
    return torch.cat([logits[1] - logits[0], torch.zeros(1)])
