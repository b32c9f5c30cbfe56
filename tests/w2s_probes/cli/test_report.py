"""`w2s report`: where it writes, what it refuses, and that it loads no model library."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.worlds.report_folders import write_kept, write_run

Call = Callable[..., Any]


def test_the_page_is_written_into_the_folder_or_where_it_is_asked_for(
    w2s: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "run", ["a", "b"])
    w2s("report", tmp_path / "run")
    assert f"Written: {tmp_path / 'run' / 'report.html'}, " in capsys.readouterr().out
    w2s("report", tmp_path / "run", "--out", tmp_path / "elsewhere" / "page.html")
    written = [tmp_path / "run" / "report.html", tmp_path / "elsewhere" / "page.html"]
    assert written[0].read_bytes() == written[1].read_bytes()
    assert "<!DOCTYPE html>" in written[0].read_text()[:20]


def test_a_folder_without_results_or_with_a_damaged_one_is_refused(fails: Call, tmp_path: Path) -> None:
    assert "nothing to report" in fails("report", tmp_path)
    assert "no such folder" in fails("report", tmp_path / "none")
    write_kept(tmp_path / "kept.jsonl")
    (tmp_path / "kept.jsonl").write_text('{"id": 1, "label": 0.5, "keep": "perhaps", "reason": ""}\n')
    assert "kept.jsonl: the keep of row '1' is 'perhaps': it is true or false" in fails("report", tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["kept.jsonl"]


def test_a_report_loads_neither_torch_nor_transformers_nor_matplotlib(tmp_path: Path) -> None:
    write_kept(tmp_path / "kept.jsonl")
    code = (
        f"import sys; from analyses.report import write_report; write_report({str(tmp_path)!r}); "
        "print([m for m in ('torch', 'transformers', 'nnsight', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
