"""The notebooks are committed without outputs, run from top to bottom without a warning, and show what they promise."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.conftest import ROOT
from tests.worlds import kernels

NOTEBOOKS = sorted((ROOT / "analyses" / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]


def read(path: Path) -> Any:
    """A notebook."""
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """A manager and a client of one kernel, which serves all; far from the checkout, as a user's may be."""
    scratch = tmp_path_factory.mktemp("scratch")
    (scratch / "notebooks").mkdir()
    with kernels.started(scratch, tmp_path_factory.mktemp("elsewhere")) as running:
        yield running


@pytest.fixture(scope="module")
def ran(kernel: tuple[Any, Any]) -> Callable[[str], Any]:
    """A function from a notebook's name to the notebook with its outputs; the kernel is emptied before each."""
    done: dict[str, Any] = {}

    def run(name: str) -> Any:
        if name not in done:
            kernel[1].execute("%reset -f", silent=True)
            done[name] = kernels.execute(read(ROOT / "analyses" / "notebooks" / f"{name}.ipynb"), *kernel)
        return done[name]

    return run


@pytest.fixture
def execute(kernel: tuple[Any, Any]) -> Callable[[str], str]:
    """A function that runs code in the kernel and returns what it printed."""

    def run(code: str) -> str:
        cell = nbformat.v4.new_code_cell(code)
        notebook = nbformat.v4.new_notebook(cells=[cell])
        kernels.execute(notebook, *kernel)
        outputs(notebook)
        return "".join(output["text"] for output in cell.outputs if output.get("name") == "stdout")

    return run


def outputs(notebook: Any) -> list[dict[str, str]]:
    """What each cell displayed, by format."""
    shown = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr", output["text"]
            if output.output_type in ("execute_result", "display_data"):
                shown.append(output.data)
    return shown


def page(notebook: Any, kind: str = "text/html") -> str:
    """All that was displayed in a format."""
    return "\n".join(data[kind] for data in outputs(notebook) if kind in data)


def test_there_are_the_notebooks_that_the_pages_name() -> None:
    assert NAMES == ["quickstart", "saliency", "which_layer", "your_labels"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_notebooks_are_kept_without_outputs_and_name_no_other_kernel(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
    assert notebook.cells[0].source.startswith("# ")
    for target in re.findall(r"\]\(([^)#:]+)\)", "\n".join(cell.source for cell in notebook.cells)):
        assert (path.parent / target).exists(), target


def test_the_quickstart_shows_the_probes_the_report_card_and_the_gap_recovered(ran: Callable[[str], Any]) -> None:
    shown = ran("quickstart")
    html = page(shown)
    assert "AUROC by truth" in html
    assert "p = " in html
    assert "PGR" in html
    assert "ok" in html
    assert any("image/png" in data for data in outputs(shown))


def test_the_notebook_about_layers_shows_the_sweep_its_honest_choice_and_the_controls(
    ran: Callable[[str], Any],
) -> None:
    shown = ran("which_layer")
    printed = "".join(o["text"] for cell in shown.cells for o in cell.get("outputs", []) if o.get("name") == "stdout")
    assert "on held-out rows" in printed
    assert re.search(r"by out-of-fold loss to the weak labels: [234]\n", printed)
    assert sum("image/png" in data for data in outputs(shown)) == 5
    assert "shuffled_high" in page(shown)


def test_the_notebook_about_own_labels_ends_with_a_file_that_holds_the_kept_rows(ran: Callable[[str], Any]) -> None:
    shown = ran("your_labels")
    printed = "".join(o["text"] for cell in shown.cells for o in cell.get("outputs", []) if o.get("name") == "stdout")
    assert "rows without a label" in printed
    assert "'yes'; labels are numbers in [0, 1]" in printed
    assert "a row that was never extracted" in printed
    assert json.loads(printed.splitlines()[-1])["keep"] is True
    assert "dropped:" in page(shown)


def test_the_notebook_about_saliency_shows_layers_rows_tokens_and_a_map_that_hovers(ran: Callable[[str], Any]) -> None:
    shown = ran("saliency")
    html = page(shown)
    assert "ConceptSaliency" in html
    assert "gradient × input" in html
    assert "log-odds lost without the token" in html
    assert html.count("<title>") == 800
    assert "Nearest rows at layer" in html
    assert "truth" not in html  # none was given
    assert sum("image/png" in data for data in outputs(shown)) == 4


def test_the_code_of_the_page_about_saliency_runs(ran: Callable[[str], Any], execute: Callable[[str], str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "saliency.md").read_text(), flags=re.DOTALL)
    ran("saliency")  # so that what it needs is kept
    said = execute(code + "\nprint(repr(concept), row, tokens[row.id], rows_in_the_plane, sep='\\n')")
    for name in (
        "ConceptSaliency(800 rows, layers [2, 3]",
        "neighbours at layer 2:",
        "TokenSaliency(",
        "RowMap(800 rows",
    ):
        assert name in said
