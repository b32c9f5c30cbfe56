"""Score files joined by id and compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError
from ..metrics.intervals import interval_in_words
from ..metrics.metric_names import DEFAULT_METRICS, Metric
from ..metrics.paired_scores import with_interval
from ..metrics.registry import METRICS
from ..rows.groups import GROUP, groups_of
from .compared_scores import HARD, OUTSIDE, PairedDifference, ScoreComparison, compare_scores
from .score_files import ScoreFile, joined_ids, merged, names_of, read_truth


@dataclass(frozen=True)
class FileComparison:
    """A comparison of score files, and how their rows were joined."""

    files: dict[str, ScoreFile]  # by the name that the comparison uses
    comparison: ScoreComparison
    truth: str  # where it stands: a file, or the score files themselves
    left_out: dict[str, int]  # rows of each file that are not compared: others lack them, or their truth is not known
    weak: str | None = None
    ceiling: str | None = None

    @property
    def lines(self) -> list[str]:
        """Every number in words, a line each."""
        found = self.comparison
        lines = [f"{name}: `{file.column}` of {file.path}, {len(file.ids):,} rows" for name, file in self.files.items()]
        groups = "" if found.groups is None else f", in {found.groups:,} groups"
        lines.append(f"{found.n:,} rows, {found.positive:,} of label 1{groups}; truth: {self.truth} [95 %]")
        lines += [f"left out: {n:,} rows of {name}" for name, n in self.left_out.items() if n]
        lines += self._scores()
        lines += [_in_words(pair, many=len(found.differences) > 2) for pair in found.differences if _there(pair)]
        for gap in found.recovered:
            if gap.status == OUTSIDE:
                continue
            reason = f" ({gap.pgr.reason})" if gap.pgr.reason else ""
            ends = interval_in_words(gap.pgr.low, gap.pgr.high, ".2f")
            value = "" if np.isnan(gap.pgr.value) else f" {gap.pgr.value:.2f} {ends}"
            lines.append(f"PGR of {gap.name}, {METRICS[gap.metric].title}:{value} {gap.status}{reason}")
        return [*lines, *self._remarks(), "Intervals hold the choice of the rows, not the luck of a training."]

    def _scores(self) -> list[str]:
        parts: dict[str, list[str]] = {}
        for one in self.comparison.scores:
            if not np.isnan(one.estimate.value):
                parts.setdefault(one.name, []).append(f"{METRICS[one.metric].title} {with_interval(one.estimate)}")
        return [f"{name}: {', '.join(words)}" for name, words in parts.items()]

    def _remarks(self) -> list[str]:
        found = self.comparison.scores
        outside = list(dict.fromkeys(one.name for one in found if one.status == OUTSIDE))
        hard = list(dict.fromkeys(one.name for one in found if one.status == HARD))
        lines = []
        if outside:
            lines.append(
                f"{', '.join(outside)}: scores outside [0, 1], which have no accuracy, and are no probabilities."
            )
        if hard:
            lines.append(f"{', '.join(hard)}: hard labels, which rank nothing: compare accuracy.")
        return lines


def compare_files(
    files: Sequence[str | Path],
    *,
    truth: Path | str | None = None,
    common: bool = False,
    all_pairs: bool = False,
    weak: str | Path | None = None,
    ceiling: str | Path | None = None,
    metrics: Sequence[Metric] = DEFAULT_METRICS,
) -> FileComparison:
    """Compare models by their scores in files, FILE or FILE:COLUMN, joined by id (`ScoreFile.read`, `compare_scores`).

    `truth` is a file with `id` and `truth`, or else `label`; without it, score files have `truth` themselves. Rows
    whose truth is not known do not count; `group` may stand in any of the files. `weak` and `ceiling` are files, too,
    for PGR. InputError where the files have other rows, unless `common` takes those that all have.
    """
    given = [str(file) for file in files]
    names_of(given)  # refuses one that is given twice
    for reference in (weak, ceiling):
        if reference is not None and str(reference) not in given:
            given.append(str(reference))
    if (weak is None) != (ceiling is None):
        raise InputError("PGR needs both a weak supervisor and a ceiling: give --weak and --ceiling, or neither")
    if len(given) < 2:
        raise InputError(f"{given[0] if given else 'compare'}: there is nothing to compare it with: give another file")
    names = names_of(given)
    read = [ScoreFile.read(one) for one in given]
    ids = joined_ids(read, common=common)
    judge = None if truth is None else read_truth(Path(truth))
    known, place = known_truth(read, judge, ids, common=common)
    kept = ids[known.notna()]
    groups = merged(read if judge is None else [*read, judge], GROUP, kept)
    named = dict(zip(names, read, strict=True))
    scores = {name: file.table.set_index("id")["score"].reindex(kept).to_numpy() for name, file in named.items()}
    references = dict(zip(given, names, strict=True))
    chosen = [None if one is None else references[str(one)] for one in (weak, ceiling)]
    found = compare_scores(
        known[known.notna()].to_numpy(dtype=np.float64),
        scores,
        groups=None if groups is None else groups_of(pd.DataFrame({GROUP: groups})),
        all_pairs=all_pairs,
        weak=chosen[0],
        ceiling=chosen[1],
        metrics=metrics,
    )
    left_out = {name: len(file.ids) - len(kept) for name, file in named.items()}
    return FileComparison(named, found, place, left_out, *chosen)


def known_truth(read: list[ScoreFile], file: ScoreFile | None, ids: pd.Index, *, common: bool) -> tuple[pd.Series, str]:
    """The truth of the rows, NaN where it is not known, and where it stands: in `file`, or in the score files."""
    if file is not None:
        truth = file.table.set_index("id")["truth"].reindex(ids)
        if (absent := int(truth.isna().sum())) and not common:
            raise InputError(
                f"{file.given}: has the truth of {len(ids) - absent:,} of the {len(ids):,} scored rows, and not of "
                f"{ids[truth.isna()][0]!r}: give that, or --common to compare the others"
            )
        place = file.given
    else:
        values = merged(read, "truth", ids)
        if values is None:
            raise InputError(
                f"no truth: neither {' nor '.join(one.given for one in read[:3])} has `truth`: put it there, or into "
                "a file of `id` and `truth` for --truth"
            )
        truth = pd.Series(values, index=ids).astype("float64")
        place = "`truth` of the score files"
    if not truth.notna().any():
        raise InputError(f"{place}: no row that all files have has a truth there")
    return truth, place


def _there(pair: PairedDifference) -> bool:
    return not np.isnan(pair.estimate.value)


def _in_words(pair: PairedDifference, *, many: bool) -> str:
    test = f"DeLong z {pair.z:+.2f}, " if pair.metric == "auroc" else ""
    holm = f" ({pair.p_holm:.2g} by Holm)" if many else ""
    p = "p not known" if np.isnan(pair.p) else f"{test}p {pair.p:.2g}{holm}"
    entry = METRICS[pair.metric]
    title = entry.title if entry.higher else f"{entry.title} (less is better)"
    return f"{pair.name} - {pair.against}: {title} {with_interval(pair.estimate, '+.3f')}, {p}"
