"""The blocks of docs/gold.md run, and print what the page says."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.worlds.plugged import registries_as_they_are

PAGE = (ROOT / "docs" / "gold.md").read_text()


def test_the_blocks_of_the_page_run_and_print_what_it_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) == PAGE.count("```python") == 2
    for code, printed in blocks:
        with registries_as_they_are():
            exec(compile(code, "gold.md", "exec"), {"__name__": "page"})
        assert capsys.readouterr().out == printed
