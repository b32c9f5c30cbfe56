"""Filter report cards: what each filter removed, beside controls of its size, with examples of the rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.filtering import ReportCard, report_card
from w2s_probes.filtering.disagreement import FilterResult
from w2s_probes.filtering.judges import OVERLAP, RATERS
from w2s_probes.labels.class_mix import ClassMix, class_mix
from w2s_probes.labels.label_set import truth_where_known
from w2s_probes.labels.verdicts import judged_rows
from w2s_probes.rows.groups import groups_of
from w2s_probes.ties import above_half

from ...results.names import trial_key
from ..load.folder import Filtered

EXAMPLES = 6  # removed rows shown of each filter: the ones it is surest of
LONGEST = 20_000  # characters of a text, of which the page shows head and tail until asked for all
DRAWS = 1000  # of the random control: its p is then known to a third of itself at .01
MIX_REMEDY = "The mix of classes moves: w2s filter --per-class drops the same share of each."
MIX_IN_RUN = "The mix of classes moves, and so does that of its control, which drops as many rows of each class."


@dataclass(frozen=True)
class Example:
    """A row that a filter removed."""

    id: str
    text: str
    label: float  # weak P(label = 1)
    p: float | None  # the probe's; None where the file does not tell
    truth: float | None
    reason: str


@dataclass(frozen=True)
class Card:
    """A filter's report card."""

    name: str
    task: str
    seed: int | None
    probe: str
    layer: str
    n: int  # rows judged
    removed: int
    asked: int | None  # rows that it was asked to remove; None where nothing says
    known: int  # rows judged whose truth is known
    judged: ReportCard | None  # of those rows alone; None where no removed row is among them
    examples: list[Example]
    mix: ClassMix  # of the rows judged

    @property
    def mix_sentence(self) -> str:
        """A sentence on the rows removed of each class, with a remedy where the mix of classes moves."""
        remedy = MIX_IN_RUN if self.task else MIX_REMEDY
        return self.mix.sentence + (f" {remedy}" if self.mix.moves else "")

    @property
    def overshoot(self) -> int | None:
        """Rows removed beyond those asked for."""
        return None if self.asked is None else max(0, self.removed - self.asked)

    @property
    def of_known(self) -> str:
        """The number of rows with a truth, where some lack it."""
        if self.judged is None or self.known == self.n:
            return ""
        return f"{self.known:,} of {self.n:,} rows, {self.judged.removed:,} of {self.removed:,} removed"

    @property
    def unjudged(self) -> str:
        """The reason why the truth does not evaluate the filter; empty where it does."""
        if self.judged is not None:
            return ""
        given = "No truth is given" if not self.known else "No removed row has a truth"
        return f"{given}, so nothing says whether these labels are wrong"

    @property
    def sentence(self) -> str:
        """A sentence on the rows removed, and on how many of their labels are wrong."""
        by = (f" by {self.probe}" if self.probe else "") + (f" at layer {self.layer}" if self.layer else "")
        text = f"{self.name}: {self.removed:,} of {self.n:,} rows removed{by}"
        if self.judged is None:
            return f"{text}. {self.unjudged}."
        found, low, high = self.judged, *random_ends(self.judged)
        rows = f" (known of {self.of_known})" if self.of_known else ""
        return (
            f"{text}; by the truth{rows} {found.filter.precision:.0%} of the removed labels are wrong, against "
            f"{found.random.precision:.0%} [{low:.0%}, {high:.0%}] of as many of each class at random"
        ) + "."


def random_ends(card: ReportCard) -> tuple[float, float]:
    """The 95 % interval of the share of wrong labels among rows removed at random."""
    low, high = sorted((card.random_low.precision, card.random_high.precision))
    return low, high


def without_removal(filtered: Sequence[Filtered]) -> list[str]:
    """A sentence for each file that removes no row."""
    told = []
    for one in filtered:
        if one.table["keep"].all():
            old, new = (above_half(_numbers(one.table, name, one.name)) for name in ("label", "new_label"))
            changed = int((old != new).sum()) if "new_label" in one.table else 0
            told.append(f"{one.name} removes no row; {changed:,} of {len(one.table):,} labels changed class.")
    return told


def first_seeds(made: Sequence[Card]) -> dict[str, list[Card]]:
    """The cards of the first seed of each task, or of each file: their removed rows are shown."""
    groups: dict[str, list[Card]] = {}
    for card in made:
        group = groups.setdefault(card.task or card.name, [])
        if not group or group[0].seed == card.seed:
            group.append(card)
    return groups


def cards(filtered: Sequence[Filtered], notes: dict[str, Any] | None = None) -> list[Card]:
    """A card for each filter that removed something.

    `notes` are a run's records by the trials' keys, which say how many rows were to go.
    """
    made = []
    for one in filtered:
        record = (notes or {}).get(trial_key(one.task, one.seed), {}) if one.seed is not None else {}
        told = record.get("methods", {}).get(one.by, {})
        table = one.table[judged_rows(one.table)].reset_index(drop=True)
        gone = ~table["keep"].to_numpy(dtype=bool)
        if gone.any():
            made.append(_card(one, table, gone, told))
    return made


def _card(one: Filtered, table: pd.DataFrame, gone: NDArray[np.bool_], told: dict[str, Any]) -> Card:
    labels, score, p = (_numbers(table, name, one.name) for name in ("label", "score", "p"))
    given = truth_where_known(table, one.name)
    truth = np.full(len(table), np.nan) if given is None else given
    known = ~np.isnan(truth)
    probe = next(iter(table["probe"]), "") if "probe" in table else ""
    if probe not in (RATERS, OVERLAP):  # whose score is no distance to a P(1)
        p = np.where(np.isnan(p), _score_of(labels, score), p)
    reasons = table["reason"].astype(object).where(table["reason"].notna(), "").astype(str).to_numpy(dtype=object)
    asked = int(told["requested"]) if "requested" in told else None
    card = None
    if (known & gone).any():
        result = FilterResult(~gone, score, reasons, labels, int(gone.sum())).of_rows(known)
        card = report_card(result, truth[known], groups=groups_of(table[known]), draws=DRAWS)
    surest = [i for i in np.argsort(-score, kind="stable") if gone[i]][:EXAMPLES]
    layer = next(iter(table["layer"]), "") if "layer" in table and probe != RATERS else ""
    examples = [
        Example(
            str(table["id"].iloc[i]),
            _text(table, i),
            labels[i],
            None if np.isnan(p[i]) else p[i],
            None if np.isnan(truth[i]) else truth[i],
            str(reasons[i]),
        )
        for i in surest
    ]
    return Card(
        one.by or one.name,
        one.task,
        one.seed,
        str(probe),
        str(layer),
        len(table),
        int(gone.sum()),
        asked,
        int(known.sum()),
        card,
        examples,
        class_mix(labels, ~gone, _numbers(table, "new_label", one.name) if "new_label" in table else None),
    )


def _numbers(table: pd.DataFrame, name: str, where: str) -> NDArray[np.float64]:
    """A column (n,), NaN where it has no number, or is not there."""
    if name not in table:
        return np.full(len(table), np.nan)
    numbers = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)
    if name == "label" and not ((numbers >= 0) & (numbers <= 1)).all():
        row = int((~((numbers >= 0) & (numbers <= 1))).argmax())
        raise InputError(f"{where}: the label of row {table['id'].iloc[row]!r} is no number in [0, 1]")
    return numbers


def _score_of(labels: NDArray[np.float64], score: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probe's P(1) from its distance to the label, where only one side of the label allows that distance."""
    below, above = labels - score, labels + score
    fits_below, fits_above = below >= -1e-9, above <= 1 + 1e-9
    return np.where(fits_below & ~fits_above, below, np.where(fits_above & ~fits_below, above, np.nan)).clip(0, 1)


def _text(table: pd.DataFrame, row: int) -> str:
    text = table["text"].iloc[row] if "text" in table else ""
    text = text if isinstance(text, str) else ""
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"
