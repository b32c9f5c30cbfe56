"""Numbers are P(label = 1) in whatever dtype they come; classes have names only where they are no numbers."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.conftest import planted
from w2s_probes import InputError, KNNProbe, LogisticProbe, relabel
from w2s_probes.probes.validation import soft_labels

SPELLINGS: dict[str, Callable[[Any], Any]] = {
    "list": list,
    "object": lambda y: y.astype(object),
    "objects of numpy": lambda y: np.array([np.float64(v) for v in y], dtype=object),
    "decimals": lambda y: [Decimal(str(v)) for v in y],
    "fractions": lambda y: [Fraction(str(v)) for v in y],
    "text": lambda y: [str(v) for v in y],
    "objects of text": lambda y: np.array([str(v) for v in y], dtype=object),
    "bytes": lambda y: np.array([str(v).encode() for v in y]),
    "longdouble": lambda y: y.astype(np.longdouble),
    "pandas": pd.Series,
    "pandas objects": lambda y: pd.Series(y, dtype=object),
    "pandas Float64": lambda y: pd.Series(y, dtype="Float64"),
    "pandas text": lambda y: pd.Series([str(v) for v in y], dtype="string"),
    "pandas category": lambda y: pd.Series(y).astype("category"),
    "mixed": lambda y: np.array([Decimal(str(v)) if i % 2 else float(v) for i, v in enumerate(y)], dtype=object),
}


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("values", [(0.1, 0.9), (0.0, 1.0), (0.25, 0.75)])
def test_numbers_are_probabilities_in_every_dtype(name: str, values: tuple[float, float]) -> None:
    y = np.where(np.arange(20) % 3 > 0, values[1], values[0])
    p, classes = soft_labels(SPELLINGS[name](y), 20)
    assert p.dtype == np.float64
    assert np.array_equal(p, y)
    assert classes.tolist() == [0, 1]
    with pytest.raises(InputError, match=r"one class only: all 20 labels are above 0\.5"):
        soft_labels(SPELLINGS[name](np.where(np.arange(20) % 3 > 0, 0.95, 0.6)), 20)


def test_probes_take_them_as_such() -> None:
    data = planted(n=120)
    y = np.where(data.weak > 0.5, 0.9, 0.1)
    for spelled in (SPELLINGS["object"](y), SPELLINGS["text"](y), SPELLINGS["decimals"](y)):
        assert np.array_equal(relabel(KNNProbe(5), data.X, spelled), relabel(KNNProbe(5), data.X, y))
        path = LogisticProbe.path(data.X, spelled, l2=[0.1], cv=None)
        assert np.array_equal(path.coef_, LogisticProbe.path(data.X, y, l2=[0.1], cv=None).coef_)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["no", "yes", "no"], ["no", "yes"]),
        (np.array(["b", "a", "b"], dtype=object), ["a", "b"]),
        ([1, 2, 1], [1, 2]),
        (np.array([-1, 1, -1], dtype=object), [-1, 1]),
        (["10", "9", "9"], ["9", "10"]),  # sorted as numbers
        (np.array(["2020-01-01", "2021-01-01", "2020-01-01"], dtype="M8[D]"), None),
        ([True, False, True], [0, 1]),
        (np.array([True, False, True], dtype=object), [0, 1]),
    ],
    ids=str,
)
def test_two_classes_that_are_no_probabilities_keep_their_names(labels: Any, classes: list[Any] | None) -> None:
    p, found = soft_labels(labels, 3)
    assert classes is None or found.tolist() == classes
    second = np.asarray(labels) == found[1]
    assert np.array_equal(p > 0.5, second)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.5, None, 1.0], "labels contain NaN or are missing, first in row 1"),
        (np.array(["a", "b", None], dtype=object), "labels contain NaN or are missing, first in row 2"),
        (pd.Series([0.1, None, 0.9], dtype="Float64"), "labels contain NaN .*, first in row 1"),
        (["0.1", "nan", "0.9"], "labels contain NaN or infinity, first in row 1"),
        (["0.1", "high", "0.9"], "2 of 3 labels are numbers, but not that of row 1, 'high'"),
        (np.array([0.1, "x", (1, 2)], dtype=object), "1 of 3 labels are numbers, but not that of row 1, 'x'"),
        (np.array(["a", (1, 2), "b"], dtype=object), "labels of several types cannot be sorted into two classes"),
        ([0.1 + 1j, 0.2, 0.9], "labels are complex numbers"),
        (["0.1", "1e400", "0.9"], "labels contain NaN or infinity, first in row 1"),
        ([10**400, 0, 1], "labels contain NaN or infinity, first in row 0"),
        ([Decimal("0.1"), Decimal("1.7"), Decimal("0.9")], "Unknown label type: 3 values"),
    ],
    ids=str,
)
def test_labels_that_are_neither_are_refused_in_one_line(labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        soft_labels(labels, 3)
    assert "\n" not in str(error.value)
