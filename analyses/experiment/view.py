"""The view that methods have of a trial: texts, activations and weak labels, and no ground truth."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.calibration import CalibrationRule
from w2s_probes.devices import PROCESSOR, device_key
from w2s_probes.filtering.disagreement import FilterResult, disagreement_filter
from w2s_probes.filtering.topo import topo_filter
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.layer_ensemble import mean_log_odds
from w2s_probes.losses.names import LossName
from w2s_probes.neighbors import Neighbors, search
from w2s_probes.probes import PROBES, Probe
from w2s_probes.probes.registry import TOKEN_PROBES, VALUE_TITLES
from w2s_probes.relabeling import relabel
from w2s_probes.rows.groups import group_ids, most_neighbors

from ..lessons.activations import Activations
from ..lessons.learners import Learner
from ..lessons.lesson import Examples, Leak, Lesson, LessonConflict, Scores, Trained
from ..lessons.result_cache import Arrays, Record, ResultCache, array_hash
from ..recipe.attention import Attention
from ..recipe.calibration_keys import CalibratedOn
from ..recipe.conflict import Conflict
from ..recipe.probe_values import Probes
from .calibrating import CalibratedView
from .debate_controls import DebateControls
from .declared_probes import EVERY_SETTING, DeclaredProbes, probe_code
from .fusing import Fusing
from .gold_rows import GoldRows
from .layer_probes import LAYERS, LayerView
from .loss_codes import LossCodes
from .opinions import Opinions
from .outcomes import Outcome
from .pair_probes import PairActivations, PairView
from .row_sets import CONFLICT
from .taught_labels import refuse_one_label
from .true_labels import TrueLabels
from .trusted_rows import TRUSTED, TrustedRows


@dataclass(frozen=True)
class Experiment(LayerView, CalibratedView, PairView, TrueLabels, LossCodes):
    """One task and seed as methods see it; training rows (n_train,) are in the order of `rows["train"]`.

    A method asks probes (`out_of_sample_scores`, `filtered`), yields lessons (`lesson`) and returns an `outcome`.
    `true_train` alone gives ground truth, to declared oracles only, `trusted_rows` that of weak-train, and `gold_rows`
    that of a few training rows.
    """

    rows: Mapping[str, pd.DataFrame]  # train, val, test, perhaps candidates and `test:NAME`: id, text, group, no label
    weak: LabelSet  # of the training and validation rows
    activations: Activations  # of the strong model
    student: Learner  # the strong model, as it is trained
    loss: LossName  # of students that learn from filtered or relabelled sets, or in rounds
    probes: Probes
    seed: int
    cache: ResultCache
    device: str = PROCESSOR  # on which probes are fitted
    conflict: Conflict = field(default=Conflict())  # the recipe's
    intermediate: tuple[Learner, ...] = ()  # models between weak and strong, from weaker to stronger
    layer_activations: tuple[Activations, ...] = ()  # of the strong model, at the layers that judge together
    tokens: Activations | None = None  # of the strong model, every token; for attention probes
    pairs: PairActivations | None = None  # both sides of rows, of a task with `contrast`; for methods that declare it
    pooling: Attention | None = None  # by whose attention the vectors are pooled that probes read; None: by position
    truth: LabelSet | None = None  # of training, validation and a conflict's rows; for declared oracles alone
    trusted: TrustedRows | None = None  # rows of weak-train, for methods that declare that they read their truth
    gold: GoldRows | None = None  # a few training rows, likewise
    by_layer: Mapping[int, Learner] = field(default_factory=dict)  # of the layers that gold rows choose among
    opinions: Opinions | None = None  # of the strong model, by its own language-model head
    debates: DebateControls | None = None  # what the supervisor has read; for methods that declare it alone
    tuned: Opinions | None = None  # of the supervisor's model after its training, for methods that declare it
    base: Opinions | None = None  # of the same model before
    fusing: Fusing | None = None  # the models of a fusion, for methods that declare it
    weak_scores: Scores = field(default_factory=dict)  # of the evaluation sets, by the supervisor
    weak_activations: Activations | None = None  # of the supervisor's model, where it is a head on one
    calibrate: CalibrationRule | None = None  # of students' scores
    calibrate_on: CalibratedOn = "weak"
    calibrating: GoldRows | None = None  # gold rows by which students or probes are calibrated; counted as `gold`
    disagreement: NDArray[np.float64] | None = None  # (n_train,) of several raters; NaN where one has judged the row
    shared: "Experiment | None" = field(default=None, repr=False, compare=False)  # whose activations in memory it uses

    _nearest: dict[str, Neighbors] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.weak.role != "weak":
            raise Leak(f"an experiment's weak labels are of role {self.weak.role!r}: methods may not see those")
        for name, table in self.rows.items():
            if truths := {"label", "truth"}.intersection(table.columns):
                raise Leak(f"the {name} rows that methods see carry {sorted(truths)[0]!r}: leave it out")

    def view(
        self,
        settings: frozenset[str],
        truth: LabelSet | None = None,
        trusted: TrustedRows | None = None,
        gold: GoldRows | None = None,
    ) -> "Experiment":
        """The view of a method that declares these `settings` of probes; with ground truth for an oracle.

        Students score `trusted` rows, too, under that name.
        """
        probes: Any = self.probes if settings >= EVERY_SETTING else DeclaredProbes(self.probes, settings)
        rows = self.rows if trusted is None else {**self.rows, TRUSTED: trusted.rows}
        return replace(self, rows=rows, probes=probes, truth=truth, trusted=trusted, gold=gold, shared=self)

    @cached_property
    def weak_train(self) -> NDArray[np.float64]:
        """P(label = 1) of the training rows (n_train,) by the weak supervisor."""
        return self.weak.values(self._ids("train"))

    def lesson(
        self,
        labels: NDArray[np.float64],
        mask: NDArray[np.bool_] | None = None,
        *,
        loss: LossName | None = None,
        learner: Learner | None = None,
        weight: NDArray[np.float64] | None = None,
        seed: int | None = None,
        against: float | None = None,
        beside: NDArray[np.float64] | None = None,
        stop: Examples | None = None,
        start: Lesson | None = None,
    ) -> Lesson:
        """A student to be taught these labels (n_train,); it scores the training rows and the evaluation sets.

        Only rows in the mask are taught, each with its weight, if there are any. The weak labels of the validation
        rows stop it, whatever it learned from: what stops training must not depend on the method. Soft labels on one
        side of ½ still teach; labels that are all the same do not. `loss`, the model (`learner`) and `seed` are the
        recipe's unless given. For oracles: `against` is the weight of a conflict with the truth
        (`losses.ExplicitConflict`), and `beside` are labels of the conflict's rows, which are then taught as well.
        Other rows `stop` it where they are given, such as gold rows by their truth, and it goes on from the student of
        `start`, another lesson of this trial.
        """
        mask = self.taught(mask)
        refuse_one_label(labels, mask)
        conflict, fit = None, Examples(self.rows["train"], LabelSet(self._ids("train"), labels, "weak"))
        if against is not None:
            conflict = LessonConflict(LabelSet(self._ids("train"), self.true_train(), "truth"), against)
        if beside is not None and len(beside):
            fit, mask, weight = fit.and_rows(self.rows[CONFLICT], beside, mask, weight)
        return Lesson(
            learner or self.student,
            fit,
            stop or Examples(self.rows["val"], self.weak),
            self.predicted,
            loss=loss or self.loss,
            seed=self.seed if seed is None else seed,
            mask=mask,
            weight=weight,
            conflict=conflict,
            stop_role=None if stop is None else stop.labels.role,
            gold=0 if self.gold is None else self.gold.read_among(mask),
            start=start,
        )

    def outcome(self, trained: Trained, *, val: NDArray[np.float64] | None = None, **settings: Any) -> Outcome:
        """The outcome of a method whose last step trained this student; `settings` are fields of `Outcome`.

        `val` as in `evaluated`.
        """
        notes = {"epoch": trained.epoch} if trained.epoch is not None else {}
        notes |= {} if trained.alpha is None else {"alpha": trained.alpha}
        notes |= settings.pop("notes", {})
        return Outcome(self.evaluated(trained.scores, val), alpha=trained.alpha, notes=notes, **settings)

    def probe(self, name: str) -> Probe:
        """An unfitted probe with the recipe's hyper-parameters."""
        options = {option: getattr(self.probes, option) for option in EVERY_SETTING.intersection(PROBES[name].options)}
        options |= {"device": self.device}
        return PROBES[name].make(self._value(name), **options)

    def probe_settings(self, name: str) -> dict[str, Any]:
        """The fields of an outcome that name a probe and its settings."""
        if name in TOKEN_PROBES:
            return {"probe": name, **dict.fromkeys(VALUE_TITLES), "l2": self.probes.attention.l2}
        if name == LAYERS:
            return self.probe_settings(self.probes.layers.of) | {"probe": LAYERS}
        own = PROBES[name].value
        return {"probe": name} | {value: self._value(name) if value == own else None for value in VALUE_TITLES}

    def _value(self, name: str) -> Any:
        """The recipe's value of a probe: its number of neighbours, or its penalty; None where it has none."""
        return None if PROBES[name].value is None else getattr(self.probes, PROBES[name].setting)

    def probe_scores(self, name: str, labels: NDArray[np.float64]) -> Scores:
        """P(label = 1) of the evaluation sets by a probe that learned labels (n_train,) of the training rows."""
        plain = self.scores_of_layers if name == LAYERS else partial(self.plain_probe_scores, name)
        return self.calibrated_probe(plain(labels), partial(self.out_of_sample_scores, name, labels))

    def plain_probe_scores(self, name: str, labels: NDArray[np.float64]) -> Scores:
        """The same without calibration, and of the rows that calibrate them, too.

        Probes that read neighbours share one search for each set, and the graph of the training rows, in which related
        rows are not neighbours: as a sweep fits them.
        """
        if name in TOKEN_PROBES:
            return self.token_probe(labels).scores(self.read_by_probes)
        probe, evaluated = self.probe(name), self.read_by_probes
        if not probe.graph_k:
            return self.fitted_scores(name, probe, labels)
        apart: Any = {"group_ids": self.group_codes, "graph": self.graph(name)}
        fitted = probe.fit(self.X_train, labels, **apart)
        return {rows: fitted.score_near(self._vectors(rows), self._nearest_to(rows)) for rows in evaluated}

    def _nearest_to(self, rows: str) -> Neighbors:
        """The training rows that are nearest to each row of a set, as many as any probe reads; searched once."""
        if (same := self._same_rows) is not None:
            return same._nearest_to(rows)
        if rows not in self._nearest:
            k = min(max(PROBES[name].make(self._value(name)).graph_k for name in PROBES), len(self.X_train))
            self._nearest[rows] = search(self.X_train, k, self._vectors(rows))
        return self._nearest[rows]

    def graph(self, name: str) -> Neighbors:
        """The nearest training rows of each, none from its own group, as many as this probe reads; cached.

        Each probe has a graph of its own, so that a changed k of one leaves the results of the others valid.
        """
        k = self._neighbors_of(name)

        def make() -> tuple[Arrays, Record]:
            widest = self._widest
            nearest = {"indices": widest.indices[:, :k], "distances": widest.distances[:, :k]}
            return nearest, {"recall": widest.recall}

        described = self._reads | {"apart": array_hash(np.asarray(self.group_codes)), "k": k}
        arrays, record = self.cache.get("neighbors", described, make)
        return Neighbors(arrays["indices"], arrays["distances"], record["recall"])

    @cached_property
    def _widest(self) -> Neighbors:
        """One search for all probes; the graph of each is its first columns."""
        if (same := self._same_rows) is not None:
            return same._widest
        k = max(self._neighbors_of(name) for name in PROBES)
        return search(self.X_train, k, group_ids=self.group_codes)

    @cached_property
    def group_codes(self) -> NDArray[np.intp]:
        """Codes (n_train,) of the groups; exact duplicates share one, too."""
        return group_ids(self.X_train, self.groups)

    def _neighbors_of(self, name: str) -> int:
        """The number of neighbours that a probe reads, at most those outside the largest group."""
        wanted = PROBES[name].make(self._value(name)).graph_k
        return min(wanted, most_neighbors(self.group_codes, len(self.group_codes)))

    def out_of_sample_scores(self, name: str, labels: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """P(label = 1) (n_train,) by a probe that learned labels of other rows, weak ones unless given; cached."""
        taught = self.weak_train if labels is None else labels
        if name in TOKEN_PROBES:
            return self.token_probe(taught).out_of_sample()
        if name == LAYERS:
            return mean_log_odds(self.opinions_of_layers(labels))
        probe = self.probe(name)

        def make() -> tuple[Arrays, Record]:
            graph = self.graph(name) if probe.graph_k else None
            X = self.read_by(name, "train")
            p = relabel(probe, X, taught, groups=self.groups, seed=self.seed, graph=graph)
            return {"p": p}, {}

        described: dict[str, Any] = self._reads | {"labels": array_hash(taught), "seed": self.seed}
        parameters = {key: value for key, value in probe.get_params().items() if key != "device"}
        described |= {"probe": name, "parameters": parameters} | probe_code({PROBES[name].setting})
        described |= device_key(getattr(probe, "device", PROCESSOR))
        described |= self.pair_key(name)
        return self.cache.get("opinions", described, make)[0]["p"]

    def filtered(self, name: str) -> FilterResult:
        """The verdict of a probe's filter on the training rows, at the recipe's contamination."""
        settings = self.probes
        if name == "topo":
            k = settings.topo_k
            return topo_filter(
                self.X_train,
                self.weak_train,
                k,
                k,
                settings.contamination,
                settings.connectivity,
                groups=self.groups,
                graph=self.graph(name),
            )
        return disagreement_filter(self.weak_train, self.out_of_sample_scores(name), settings.contamination)

    @cached_property
    def _reads(self) -> dict[str, object]:
        """The part of a cache key that decides the training rows' activations and groups."""
        return {"activations": self.activations.identity, "rows": self.row_hashes["train"]} | self.pooling_key
