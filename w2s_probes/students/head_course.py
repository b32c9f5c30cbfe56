"""The heads that still learn, and all that they share."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..losses.batched import ObjectiveGroup
from ..losses.conflict import conflict_slopes
from ..losses.thresholds import batches, per_batch
from ..randomness import torch_seed
from .head_lesson import Pupil
from .head_steps import HeadWeights
from .standard_rows import OwnStandards, StandardRows
from .stopping import Criterion

INITIAL_SCALE = 0.01  # of a usual initialisation, so that training starts from predictions near one half
GATHERED = 1 << 18  # numbers that are put in the order of an epoch at once


class Course:
    """The heads that still learn, and what they share: the rows, their orders, and every matrix product.

    Weights lie in the order of `pupils`: those of the common standards first, and among these by the order of their
    rows; losses lie in that of their groups.
    """

    def __init__(self, standard: StandardRows, pupils: Sequence[Pupil], batch: int, seed: int | None) -> None:
        self._rows, self._batch = standard.rows, batch
        grouped = groupby(sorted(pupils, key=_group), key=_group)
        groups = [list(members) for _, members in grouped]
        self._numbers = {id(pupil): number for number, members in enumerate(groups) for pupil in members}
        self._seeds = {id(pupil): pupil.lesson.seed if seed is None else seed for pupil in pupils}
        self.pupils = sorted(
            pupils, key=lambda one: (one.standards is not None, self._seeds[id(one)], self._number(one))
        )
        self._groups: dict[int, ObjectiveGroup] = {}
        for number in range(len(groups)):
            members = [pupil.objective for pupil in self.pupils if self._number(pupil) == number]
            self._groups[number] = ObjectiveGroup(members)
        seeds = {*self._seeds.values(), *(pupil.lesson.seed for pupil in pupils)}
        self._generators = {seed: torch.Generator().manual_seed(torch_seed(seed, "head")) for seed in seeds}
        width, there = standard.rows.shape[1] - 1, standard.rows.device
        initial = {seed: _initial(width, of_seed).to(there) for seed, of_seed in self._generators.items()}
        masks = [pupil.standards for pupil in self.pupils if pupil.standards is not None]
        own = OwnStandards.of(standard, masks) if masks else None
        first, shared = [initial[pupil.lesson.seed] for pupil in self.pupils], len(pupils) - len(masks)
        for place, pupil in enumerate(self.pupils):
            if pupil.lesson.start is not None and own is not None:  # whose standards are its own
                first[place] = pupil.lesson.start.weights(standard, own, place - shared)
        self.weights = HeadWeights(
            torch.stack(first),
            own,
            [pupil.lesson.learning_rate for pupil in self.pupils],
            [pupil.lesson.l2 for pupil in self.pupils],
        )
        self.steps = 0
        self._arrange()

    def _number(self, pupil: Pupil) -> int:
        """Of the group of a pupil's loss."""
        return self._numbers[id(pupil)]

    def _arrange(self) -> None:
        """Set what follows from the heads that are left."""
        numbers = [self._number(pupil) for pupil in self.pupils]
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        straight = order == list(range(len(order)))
        self._to_losses = None if straight else torch.tensor(order)
        self._to_weights = None if straight else torch.tensor(order).argsort()
        inside = [self.pupils[place] for place in order]
        spans = []
        for number in sorted(set(numbers)):
            places = [i for i, place in enumerate(order) if numbers[place] == number]
            spans.append((self._groups[number], slice(places[0], places[-1] + 1)))
        self._spans = spans
        seeds = [self._seeds[id(pupil)] for pupil in self.pupils]
        self._orders = {
            seed: torch.tensor([i for i, place in enumerate(order) if seeds[place] == seed])
            for seed in dict.fromkeys(seeds)
        }
        there = self._rows.device
        self._labels = torch.stack([pupil.labels for pupil in inside]).to(there)
        self._taught: torch.Tensor | None = None
        self._weight: torch.Tensor | None = None
        self._against: torch.Tensor | None = None
        if any(pupil.rows is not None for pupil in inside):
            everyone = np.ones(len(self._rows), dtype=bool)
            masks = [everyone if pupil.rows is None else pupil.rows for pupil in inside]
            self._taught = torch.from_numpy(np.array(masks)).to(there)
        if any(pupil.weight is not None for pupil in inside):
            ones = torch.ones(len(self._rows), device="cpu")
            self._weight = torch.stack([ones if pupil.weight is None else pupil.weight for pupil in inside]).to(there)
            self._weight *= 1 if self._taught is None else self._taught
        if any(pupil.lesson.conflict is not None for pupil in inside):
            conflicts = [pupil.lesson.conflict for pupil in inside]
            nothing = torch.zeros(len(self._rows), device="cpu")
            self._against = torch.stack([nothing if one is None else one.against for one in conflicts]).to(there)
            self._alphas = torch.tensor([0.0 if one is None else one.alpha for one in conflicts])[:, None]
        parts = []
        for _, run in groupby(range(len(seeds)), key=lambda place: (place < self.weights.shared, seeds[place])):
            places = list(run)
            parts.append((list(self._orders).index(seeds[places[0]]), slice(places[0], places[-1] + 1)))
        if len(self._orders) == 1:
            parts = [(0, slice(0, len(seeds)))]
        sizes = {min(self._batch, len(self._rows)), len(self._rows) % self._batch} - {0}
        self._desks = {size: Desk(self.weights, size, spans, parts, straight) for size in sizes}
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
        gone = set(places)
        kept = [place for place in range(len(self.pupils)) if place not in gone]
        for number, group in list(self._groups.items()):
            members = [place for place, pupil in enumerate(self.pupils) if self._number(pupil) == number]
            if not gone & set(members):
                continue
            group.keep([i for i, place in enumerate(members) if place not in gone])
            if group.size == 0:
                del self._groups[number]
        self.pupils = [self.pupils[place] for place in kept]
        if kept:
            self.weights.keep(kept)
            self._arrange()

    def run_epoch(self) -> None:
        """Teach every row once."""
        n = len(self._rows)
        # Drawn on the processor: the same for every device.
        drawn = [torch.randperm(n, generator=self._generators[seed], device="cpu") for seed in self._orders]
        orders = [order.to(self._rows.device) for order in drawn]
        labels = self._in_order(self._labels, orders)
        taught = None if self._taught is None else self._in_order(self._taught, orders)
        weight = None if self._weight is None else self._in_order(self._weight, orders)
        against = None if self._against is None else self._in_order(self._against, orders)
        if weight is None and taught is not None:
            weight = taught.float()
        if weight is not None:
            weight /= self._counts(weight if taught is None else taught, taught is None)
        for group, span in self._spans:
            rows = None if taught is None or bool(taught[span].all()) else taught[span]
            group.begin(labels[span], rows, self._batch)
        start = 0
        for rows_of_orders in zip(*map(self._batches, orders), strict=True):
            end = start + len(rows_of_orders[0])
            desk = self._desks[end - start]
            desk.soft.copy_(labels[:, start:end])
            if weight is not None:
                desk.weight.copy_(weight[:, start:end])
            self._step(desk, rows_of_orders, None if against is None else against[:, start:end])
            start = end

    def _in_order(self, values: torch.Tensor, orders: Sequence[torch.Tensor]) -> torch.Tensor:
        """Values (heads, n) of rows as each head sees them in this epoch."""
        if len(orders) == 1:
            return values[:, orders[0]]
        found = torch.empty_like(values)
        for order, places in zip(orders, self._orders.values(), strict=True):
            found.index_copy_(0, places, values.index_select(0, places).index_select(1, order))
        return found

    def _counts(self, taught: torch.Tensor, everyone: bool) -> torch.Tensor:
        """For every row (heads, n) the number of rows of its batch that the head is taught, one at least."""
        sizes = torch.tensor([part.shape[1] for part in batches(taught, self._batch)])
        counts = sizes.float()[None] if everyone else per_batch(taught, self._batch).clamp(min=1).float()
        return counts.repeat_interleave(sizes, dim=1)

    def _batches(self, order: torch.Tensor) -> Iterator[torch.Tensor]:
        """The rows (batch, d + 1) in this order, of which several batches are gathered at once where they are small."""
        at_once = self._batch * max(1, GATHERED // (self._batch * self._rows.shape[1]))
        for start in range(0, len(order), at_once):
            gathered = self._rows.index_select(0, order[start : start + at_once])
            for first in range(0, len(gathered), self._batch):
                yield gathered[first : first + self._batch]

    def _step(self, desk: "Desk", X: Sequence[torch.Tensor], against: torch.Tensor | None) -> None:
        for part in desk.parts:
            torch.mm(part.seen, X[part.order].t(), out=part.margins)
        if self._to_losses is not None:
            torch.index_select(desk.margins_by_weight, 0, self._to_losses, out=desk.margins)
        torch.sigmoid(desk.margins, out=desk.p)
        for group, views in desk.groups:
            group.slopes(*views)
        if against is not None:
            desk.slopes += self._alphas * conflict_slopes(desk.margins, desk.p, against) * desk.weight
        if self._to_weights is not None:
            torch.index_select(desk.slopes, 0, self._to_weights, out=desk.slopes_by_weight)
        for part in desk.parts:
            torch.mm(part.slopes, X[part.order], out=part.gradient)
        self.weights.step()
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
        return [self._groups[self._number(pupil)].lead.ramping for pupil in self.pupils]

    @property
    def own_weight(self) -> list[float | None]:
        """Of each pupil."""
        return [self._groups[self._number(pupil)].lead.own_weight for pupil in self.pupils]


class _SameOrder(NamedTuple):
    """Heads that read the same rows in the same order: rows of the matrices."""

    order: int
    seen: torch.Tensor  # (heads, d + 1)
    margins: torch.Tensor  # (heads, batch)
    slopes: torch.Tensor  # (heads, batch)
    gradient: torch.Tensor  # (heads, d + 1)


class Desk:
    """Where a batch of one size is worked on: matrices (heads, rows), and the views of their parts."""

    def __init__(
        self,
        weights: HeadWeights,
        rows: int,
        spans: Sequence[tuple[ObjectiveGroup, slice]],
        parts: Sequence[tuple[int, slice]],
        straight: bool,  # whether losses lie as weights do
    ) -> None:
        heads = len(weights.seen)
        self.margins, self.p, self.soft, self.slopes = torch.empty(4, heads, rows)
        self.weight = torch.full((heads, rows), 1 / rows)
        self.margins_by_weight = self.margins if straight else torch.empty(heads, rows)
        self.slopes_by_weight = self.slopes if straight else torch.empty(heads, rows)
        matrices = self.margins, self.p, self.soft, self.weight, self.slopes
        self.groups = [(group, tuple(matrix[span] for matrix in matrices)) for group, span in spans]
        by_weight = weights.seen, self.margins_by_weight, self.slopes_by_weight, weights.gradient
        self.parts = [_SameOrder(order, *(matrix[span] for matrix in by_weight)) for order, span in parts]


def _group(pupil: Pupil) -> str:
    return repr(ObjectiveGroup.key(pupil.objective))


def _initial(width: int, generator: torch.Generator) -> torch.Tensor:
    """The weights (d + 1,) that a head begins with: the difference of two logits' usual ones, and no bias."""
    logits = torch.empty(2, width, device="cpu").normal_(std=INITIAL_SCALE * width**-0.5, generator=generator)
    return torch.cat([logits[1] - logits[0], torch.zeros(1, device="cpu")])
