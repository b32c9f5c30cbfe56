"""Figures of labels, rows, tokens and titles of any name: drawn as they stand, in every format, without a warning."""

import io
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analyses.saliency.map_drawing import map_figure
from analyses.saliency.row_result import layers_of_row_figure
from analyses.saliency.token_result import TokenSaliency
from tests.worlds.report_folders import write_sweep
from w2s_probes.drawing import drawable
from w2s_probes.sweep import SweepResult

NAMES = {
    "two dollars": "a$_$b",
    "a formula that is none": "$\\frac{$",
    "one dollar": "costs 5$",
    "a backslash and a dollar": "\\$a$",
    "braces": "{0} {} %s %(x)s",
    "control characters": "a\x1b[31mb\x07\x00\x9b",
    "lines": "a\nb\r\nc\td",
    "another direction": "\u202eabc\u2066",
    "no UTF-8": b"a\xff".decode(errors="surrogateescape"),
    "half a pair": "a\ud800",
    "letters without a glyph": "日本語 \U0001f600 \U00012000",
    "Greek": "Ωμέγα λ",
    "markup": "<b>&amp;</b>",
    "null": "null",
    "nothing": "",
    "spaces": "   ",
    "underscored": "_hidden",
    "without an end": "x" * 70_000,
}


def sweep(name: str, folder: Path) -> Figure:
    write_sweep(folder, "weak")
    found = SweepResult.read(folder / "sweep.csv")
    named = np.full(len(found.table), None, dtype=object)
    named[:] = name
    return SweepResult(found.table.assign(labels=pd.Series(named, dtype=object)), found.record).plot(name)


def row(name: str, folder: Path) -> Figure:
    by_layer = pd.DataFrame({"layer": [0, 1], "logistic": [0.2, 0.8], "knn": [0.4, 0.6]})
    return layers_of_row_figure(by_layer, 0.5, name)


def tokens(name: str, folder: Path) -> Figure:
    numbers = np.array([0.5, -0.5])
    words = [name, "a"]
    found = TokenSaliency(
        name, words, np.array([1, 2], np.int32), 1, "last", True, 0.5, numbers, numbers, numbers, numbers
    )
    return found.figure()


def rows_of_map(name: str, folder: Path) -> Figure:
    table = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0], "weak": [0.0, 1.0], "p": [0.1, 0.9], "disagreement": 0.1})
    return map_figure(table, ("PC 1", "PC 2"), "label", name)


FIGURES: dict[str, Callable[[str, Path], Figure]] = {"sweep": sweep, "row": row, "tokens": tokens, "map": rows_of_map}


CASES = [(figure, name) for figure in FIGURES for name in NAMES]
CASES = [case for case in CASES if case not in (("sweep", "nothing"), ("sweep", "spaces"))]  # no file is called so


@pytest.mark.parametrize(("figure", "name"), CASES)
def test_every_figure_of_every_name_is_drawn(figure: str, name: str, tmp_path: Path) -> None:
    """Of every name there is each format, by another figure."""
    drawn = FIGURES[figure](NAMES[name], tmp_path)
    ending = ("svg", "png", "pdf")[(list(FIGURES).index(figure) + list(NAMES).index(name)) % 3]
    sink = io.BytesIO()
    drawn.savefig(sink, format=ending)
    assert sink.tell() > 1000
    if ending == "svg":
        ElementTree.fromstring(sink.getvalue())  # of a control character there is no XML


@pytest.mark.parametrize("figure", FIGURES)
def test_a_dollar_is_drawn_as_a_dollar(figure: str, tmp_path: Path) -> None:
    drawn = FIGURES[figure]("a$_$b", tmp_path)
    titles = [axes.get_title(loc="left") for axes in drawn.axes] + [drawn.get_suptitle()]
    assert [title for title in titles if "a$_$b" in title]
    texts = [text for axes in drawn.axes for text in axes.get_xticklabels()]
    assert figure != "tokens" or "a$_$b" in [text.get_text() for text in texts]


def test_what_the_font_has_is_drawn_and_the_rest_is_marked() -> None:
    assert drawable("Ωμέγα λ é −") == "Ωμέγα λ é −"
    assert drawable("a日b") == "a?b"
    assert drawable("a\x1bb") == r"a\x1bb"
    assert len(drawable("x" * 9000)) == 100
