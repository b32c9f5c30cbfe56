"""Gold rows: a few rows of strong-train whose true labels a method may read where it says so, and how many it has read.

Beside `trusted_rows`, whose rows no student is taught, these are rows that students learn. Test and validation rows are
never among them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.errors import InputError, preview
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import GROUP

from ..lessons.lesson import Examples, Misuse
from ..lessons.result_cache import array_hash
from ..recipe.gold import Gold
from .row_sets import RowSets

Mask = NDArray[np.bool_]
SHARE, VALUES, LAYERS = "share", "values", "layers"  # the settings of `[gold]` that a method may declare
FEWEST_BESIDE = 2  # rows that a student can be taught


@dataclass(frozen=True)
class GoldUse:
    """What a method reads of gold rows: how many, and how many weak rows beside them."""

    gold: int | None = None  # None: as many as the recipe says
    weak: int | None = None  # rows whose weak labels it is taught; None: all
    both: bool = False  # whether it can do nothing with labels of one class
    beside: bool = False  # whether it teaches none of them, nor rows related to one, so that others must be left
    reads: frozenset[str] = frozenset()  # the settings of `[gold]` that it reads: of share, values and layers

    @property
    def layers(self) -> bool:
        """Whether it teaches students at every layer of `[gold] layers`."""
        return LAYERS in self.reads


@dataclass(frozen=True)
class GoldRows:
    """The rows of strong-train whose true labels a method may read; those that it has read are counted.

    Fewer rows are always the first ones of more (`gold_order`), so that the points of a curve have rows in common.

    >>> rows = pd.DataFrame({"id": ["a", "b", "c"], "group": ["a", "b", "c"]})
    >>> labels = LabelSet(np.array(["b", "c"], dtype=object), np.array([1.0, 0.0]), "truth")
    >>> gold = GoldRows(rows, np.array([1, 2]), np.array([1, 2, 0]), labels, Gold(n=2)).of(GoldUse(gold=1))
    >>> gold.mask, gold.read
    (array([False,  True, False]), 0)
    >>> gold.truth(), gold.read
    (array([1.]), 1)
    """

    rows: pd.DataFrame  # the training rows: id, text, group
    drawn: NDArray[np.intp]  # places of gold rows among them, in the order in which they are drawn
    order: NDArray[np.intp]  # (n_train,) places of all rows: weak rows are taken from its end
    _labels: LabelSet  # of the rows drawn; read by `truth` alone, which counts
    _settings: Gold
    weak: int | None = None  # rows whose weak labels are at hand; None: all
    reads: frozenset[str] = frozenset()  # the settings of `[gold]` that the method has declared
    _read: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @property
    def read(self) -> int:
        """The number of rows whose true labels have been read."""
        return len(self._read)

    @property
    def read_ids(self) -> frozenset[str]:
        """The ids of these."""
        return frozenset(self._read)

    @property
    def mask(self) -> Mask:
        """The gold rows (n_train,)."""
        return self._at(self.drawn)

    @property
    def weak_mask(self) -> Mask:
        """The rows (n_train,) whose weak labels are at hand; gold rows may be among them."""
        return self._at(self.order if self.weak is None else self.order[-self.weak :])

    @property
    def related(self) -> Mask:
        """The gold rows, and the rows (n_train,) that share a group with one."""
        groups = self.rows[GROUP]
        return np.asarray(groups.isin(groups[self.mask]), dtype=bool)

    def _at(self, places: NDArray[np.intp]) -> Mask:
        mask = np.zeros(len(self.rows), dtype=bool)
        mask[places] = True
        return mask

    @property
    def ids(self) -> NDArray[np.object_]:
        """The ids of the gold rows, in the order of the training rows."""
        return self.rows["id"].to_numpy(dtype=object)[self.mask]

    def truth(self) -> NDArray[np.float64]:
        """The true labels of the gold rows, in the order of the training rows. This reads them."""
        self._read.update(self.ids)
        return self._labels.values(self.ids)

    def read_among(self, taught: Mask | None) -> int:
        """The rows whose true labels have been read among those that are taught (n_train,); None: all are taught."""
        read = self.rows["id"].isin(self._read).to_numpy()
        return int((read if taught is None else read & taught).sum())

    def examples(self, labels: NDArray[np.float64] | None = None) -> Examples:
        """The gold rows with their true labels, which this reads, or with these weak ones."""
        table = self.rows[self.mask].reset_index(drop=True)
        if labels is not None:
            return Examples(table, LabelSet(self.ids, labels, "weak"))
        return Examples(table, LabelSet(self.ids, self.truth(), "truth"))

    def setting(self, name: str) -> Any:
        """A setting of `[gold]`. Misuse for one that the method has not declared, so that its results' key lacks it."""
        if name not in self.reads:
            raise Misuse(f"this method reads gold.{name}: declare it, `gold=GoldUse(reads=frozenset({{{name!r}}}))`")
        return getattr(self._settings, name)

    def of(self, use: GoldUse) -> "GoldRows":
        """The rows that a method of this declaration may read, none of them read yet."""
        wanted = [n for n in self._settings.n if n][:1]
        n = use.gold if use.gold is not None else wanted[0] if wanted else len(self.drawn)
        places = self.drawn[:n]
        ids = self.rows["id"].to_numpy(dtype=object)[np.sort(places)]
        weak = None if use.weak is None or use.weak >= len(self.rows) else use.weak
        labels = LabelSet(ids, self._labels.values(ids), "truth")
        return replace(self, drawn=places, weak=weak, reads=use.reads, _labels=labels)

    @property
    def description(self) -> dict[str, Any]:
        """All that decides them and their uses, for keys; the rows themselves stand there as those of training."""
        settings = self._settings.model_dump(mode="json", include=set(self.reads))
        labels = array_hash(self._labels.values(self.ids))
        return {"rows": [array_hash(self.mask), array_hash(self.weak_mask)], "labels": labels, **settings}


def gold_order(table: pd.DataFrame, seed: int, drawn_as: str) -> NDArray[np.intp]:
    """The rows (n,) in the order in which their labels are bought: groups whole, at random by the seed.

    Classes are not balanced: nobody knows a row's class before its label is paid for.
    """
    groups = {str(name): rows for name, rows in table.groupby(GROUP, sort=True).indices.items()}
    order = stream(seed, drawn_as, "gold").permutation(np.array(sorted(groups), dtype=object))
    return np.concatenate([np.asarray(groups[name], dtype=np.intp) for name in order])


def gold_rows(gold: Gold, sets: RowSets, task: str, seed: int) -> GoldRows:
    """The gold rows of a task and seed; InputError for a file of labels of other sets, or of none of these rows."""
    table = sets.train
    order = gold_order(table, seed, sets.drawn_as or task)
    known = LabelSet(table["id"].to_numpy(dtype=object), table["label"].to_numpy(dtype=np.float64), "truth")
    drawn = order
    if gold.file is not None:
        known = _given(gold, sets, f"{task}, seed {seed}")
        here = table["id"].isin(known.ids).to_numpy()
        drawn = order[here[order]]
    return GoldRows(table[["id", "text", GROUP]], drawn, order, known, gold)


def _given(gold: Gold, sets: RowSets, where: str) -> LabelSet:
    """The labels of a file that are of training rows; InputError for one of rows that no method may know."""
    labels = LabelSet.read(str(gold.file), role="truth")
    if not np.isin(labels.p, (0, 1)).all():
        bad = int(np.argmax(~np.isin(labels.p, (0, 1))))
        raise InputError(
            f"{gold.file}: the label of row {labels.ids[bad]!r} is {labels.p[bad]:g}: gold labels are 0 or 1"
        )
    by_set = {"weak": "weak-train", "val": "validation"}
    for name, rows in sets.tables.items():
        if name != "train" and len(found := np.intersect1d(rows["id"].to_numpy(dtype=str), labels.ids.astype(str))):
            raise InputError(
                f"{where}: {gold.file} has {len(found)} {by_set.get(name, 'test')} rows, {preview(list(found))}; "
                "gold rows are of strong-train, which each seed draws anew: leave them out, or give that one seed"
            )
    here = np.isin(labels.ids.astype(str), sets.train["id"].to_numpy(dtype=str))
    if not here.any():
        raise InputError(f"{where}: none of the {len(labels)} rows of {gold.file} is one of strong-train")
    return LabelSet(labels.ids[here], labels.p[here], "truth")


def reads_gold(methods: Iterable[Any]) -> bool:
    """Whether one of these methods reads gold rows."""
    return any(method.gold is not None for method in methods)


def refuse_gold(gold: Gold, methods: Mapping[str, Any], splits: Mapping[str, Mapping[int, RowSets]]) -> None:
    """InputError for gold rows that no method reads, fewer than a method wants, of one class, or that leave no others.

    Likewise for a setting of theirs that none reads.
    """
    declared = {name: method.gold for name, method in methods.items() if method.gold is not None}
    if not declared and (gold.n or gold.file is not None):
        raise InputError('[gold]: no method reads gold rows: give gold.use, such as use = ["append"]')
    read = frozenset().union(*(use.reads for use in declared.values()))
    for name, by in ((SHARE, "gold-weight"), (VALUES, "gold-select-PROBE"), (LAYERS, "gold-select-layer")):
        if name in gold.model_fields_set and name not in read:
            raise InputError(f"gold.{name} is given, and no method reads it: it is of {by}")
    for task, seeds in splits.items() if declared else ():
        for seed, sets in seeds.items():
            rows, where = gold_rows(gold, sets, task, seed), f"{task}, seed {seed}"
            for name, use in declared.items():
                _refuse_use(name, use, rows, where)


def _refuse_use(name: str, use: GoldUse, rows: GoldRows, where: str) -> None:
    own = rows.of(use)
    settings = rows._settings
    wanted = use.gold if use.gold is not None else next((n for n in settings.n if n), None)
    there = "strong-train has" if settings.file is None else f"of strong-train are in {settings.file}:"
    if wanted is not None and wanted > len(rows.drawn):
        raise InputError(
            f"{where}: method {name!r} reads {wanted} gold rows, more than {there} {len(rows.drawn)}: lower gold.n"
        )
    if use.both and len(np.unique(own.truth())) < 2:
        raise InputError(
            f"{where}: method {name!r} needs gold rows of both classes, and the {len(own.ids)} are of one: raise gold.n"
        )
    if use.beside and (left := int((~own.related).sum())) < FEWEST_BESIDE:
        raise InputError(
            f"{where}: method {name!r} teaches the rows that are no gold rows, nor related to one, and {left} of "
            f"{len(rows.rows)} are left: lower gold.n"
        )
