"""Several probes of one layer beside each other: how alike each two rank the target's rows."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..probes.validation import check_activations
from ..randomness import stream
from .foretold_measure import Foretold
from .probe_cosine import direction_of, mahalanobis_cosine

DRAWS = 200  # random directions, of which the quantile is known to a few hundredths


@dataclass(frozen=True)
class ProbePair:
    """Two probes by name, their Mahalanobis cosine, and how large it is by chance."""

    first: str
    second: str
    cosine: Foretold
    by_chance: float  # size that one in twenty random directions reaches with either of them; NaN where undefined


@dataclass(frozen=True, eq=False, repr=False)
class ComparedProbes:
    """The Mahalanobis cosine of every pair of linear probes of one layer, on the same rows.

    >>> X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> compared_probes({"a": [1.0, 0.0], "b": [1.0, 1.0]}, X).matrix.round(2).loc["a", "b"].item()
    0.71
    """

    pairs: list[ProbePair]
    names: list[str]  # of the probes
    rows: int

    @property
    def matrix(self) -> pd.DataFrame:
        """The cosines, probe against probe: 1 on the diagonal, NaN where rows are equal along a direction."""
        table = pd.DataFrame(np.eye(len(self.names)), index=self.names, columns=self.names)
        for pair in self.pairs:
            table.loc[pair.first, pair.second] = table.loc[pair.second, pair.first] = pair.cosine.estimate.value
        return table

    def to_frame(self) -> pd.DataFrame:
        """A line a pair: first, second, value, low, high, by_chance, n, status."""
        lines = []
        for pair in self.pairs:
            estimate = pair.cosine.estimate
            ends = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
            about = {"by_chance": pair.by_chance, "n": pair.cosine.n, "status": pair.cosine.status}
            lines.append({"first": pair.first, "second": pair.second, **ends, **about})
        return pd.DataFrame(lines, columns=["first", "second", "value", "low", "high", "by_chance", "n", "status"])

    def __repr__(self) -> str:
        table = self.matrix.to_string(float_format="{:.3f}".format, na_rep="")
        return f"ComparedProbes({self.rows} rows, Mahalanobis cosines)\n{table}"

    def _repr_html_(self) -> str:
        names = [html.escape(name) for name in self.names]
        body = "".join(f"<tr><th>{names[i]}</th>{self._cells(i)}</tr>" for i in range(len(names)))
        head = "".join(f"<th>{name}</th>" for name in names)
        chance = max((pair.by_chance for pair in self.pairs if pair.cosine.is_known), default=float("nan"))
        note = (
            f"Mahalanobis cosines [95 %] of probes on {self.rows} rows: 1, they rank them alike; 0, not at all; one in "
            f"twenty random directions reaches {chance:.2f}"
        )
        return f"<p><b>ComparedProbes</b>: {note}.</p><table><tr><th></th>{head}</tr>{body}</table>"

    def _cells(self, row: int) -> str:
        found = {frozenset((pair.first, pair.second)): pair.cosine for pair in self.pairs}
        cells = []
        for at, name in enumerate(self.names):
            if at == row:
                cells.append("<td>1</td>")
                continue
            cosine = found[frozenset((self.names[row], name))]
            text = f"{cosine.estimate:.2f}" if cosine.is_known else cosine.status
            cells.append(f"<td>{html.escape(text)}</td>")
        return "".join(cells)


def compared_probes(
    probes: Mapping[str, Any], X: ArrayLike, *, groups: ArrayLike | None = None, draws: int = DRAWS, seed: int = 0
) -> ComparedProbes:
    """The Mahalanobis cosine of each two of several probes by name (`mahalanobis_cosine`), on rows X (n, d).

    Where few components have most of the variance, any two directions may rank rows much alike: beside each cosine
    stands the size that one in twenty of `draws` isotropic random directions reaches with either probe.

    InputError for fewer than two probes, and, by its name, for one that is no direction of this width.
    """
    if len(probes) < 2:
        raise InputError(f"{len(probes)} probes: give two or more to compare")
    matrix = check_activations(X)
    directions: dict[str, NDArray[np.float64]] = {}
    for name, probe in probes.items():
        try:
            directions[name] = direction_of(probe, matrix.shape[1])
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
    chance = _by_chance(directions, matrix, draws, seed)
    pairs = []
    for first, second in combinations(probes, 2):
        cosine = mahalanobis_cosine(probes[first], probes[second], matrix, groups=groups)
        pairs.append(ProbePair(first, second, cosine, max(chance[first], chance[second])))
    return ComparedProbes(pairs, list(probes), len(matrix))


def _by_chance(
    directions: Mapping[str, NDArray[np.float64]], X: NDArray[np.float32], draws: int, seed: int
) -> dict[str, float]:
    """The size of cosine that one in twenty random directions reaches with each direction; NaN without draws."""
    if not draws:
        return dict.fromkeys(directions, float("nan"))
    centred = X - X.mean(axis=0, dtype=np.float64).astype(np.float32)
    random = stream(seed, "random directions").normal(size=(X.shape[1], draws)).astype(np.float32)
    drawn = (centred @ random).astype(np.float64)
    drawn -= drawn.mean(axis=0)
    found = {}
    for name, direction in directions.items():
        side = centred.astype(np.float64) @ direction
        side -= side.mean()
        sizes = np.sqrt((drawn**2).sum(axis=0) * (side**2).sum())
        with np.errstate(invalid="ignore", divide="ignore"):  # rows that are equal along one of them
            found[name] = float(np.quantile(np.abs(side @ drawn) / sizes, 0.95))
    return found
