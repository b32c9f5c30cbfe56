"""Someone who explores saliency in a notebook: each cell shows itself once, and texts are read where they are."""

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.journeys.conftest import Study
from tests.worlds import kernels

STORE, WEAK, SWEEP, PLOT, ROWS, DOUBTFUL, TOKENS, CONCEPT = CELLS = (
    "from w2s_probes import ActivationStore, LabelSet, LogisticProbe\nstore = ActivationStore.open('acts')\nstore",
    "weak = LabelSet.read('weak.jsonl')\nweak",
    "from w2s_probes.sweep import sweep\nresult = sweep(store, 'weak.jsonl', layers=LAYER, knn_k=20)\nresult",
    "result.plot()",
    "from analyses.saliency import row_saliency\n"
    "rows = row_saliency(store, weak, layer=LAYER, texts='weak.jsonl')\n"
    "rows[weak.ids[0]]",
    "rows.most_doubtful(5)",
    "from analyses.saliency import token_saliency\n"
    "probe = LogisticProbe(l2=1.0).fit(store.layer(LAYER, ids=weak.ids), weak)\n"
    "(tokens,) = token_saliency(MODEL, store, probe, TEXT, layer=LAYER).values()\ntokens",
    "from analyses.saliency import concept_saliency\n"
    "seen = []\n"
    "concept = concept_saliency(store, weak, layers=[1, LAYER], draws=2, progress=lambda *step: seen.append(step))\n"
    "assert seen and seen[-1][1] == seen[-1][2], seen\n"
    "concept.components_figure()",
)


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the kernel leaves its files."""
    return tmp_path_factory.mktemp("scratch")


def outputs(cell: Any, kind: str) -> list[str]:
    """What a cell shows of this kind."""
    return [output["data"][kind] for output in cell.outputs if kind in output.get("data", {})]


def test_every_cell_shows_itself_once_and_tokens_are_coloured_beside_their_own_text(here: Study, scratch: Path) -> None:
    text = " ".join(["the quick brown fox"] * 60) if here.name == "real" else " ".join(["jolly not gloomy"] * 40)
    setting = f"MODEL, LAYER, TEXT = {str(here.model)!r}, {here.layer}, {text!r}"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (setting, *CELLS)])
    (scratch / "notebooks").mkdir()
    with kernels.started(scratch, Path.cwd()) as running:
        kernels.execute(book, *running)
    cells = dict(zip(CELLS, book.cells[1:], strict=True))
    for name in (STORE, WEAK, SWEEP, ROWS, DOUBTFUL, TOKENS):
        (html,) = outputs(cells[name], "text/html")
        assert "<" in html
    for name in (PLOT, CONCEPT):
        assert len(outputs(cells[name], "image/png")) == 1, name  # once, not twice
    (tokens,) = outputs(cells[TOKENS], "text/html")
    assert "tokens" in tokens  # a long text shows its head and tail, and how much is between
    assert "<details" in tokens
    errors = [output for cell in book.cells for output in cell.outputs if output.output_type == "error"]
    assert errors == []
