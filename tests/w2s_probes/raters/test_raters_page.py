"""The blocks of docs/raters.md run, and print what the page says."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.test_readme import assert_told

PAGE = (ROOT / "docs" / "raters.md").read_text()


def test_the_blocks_of_the_page_run_and_print_what_it_says(
    w2s: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data")
    names: dict[str, Any] = {}
    told = 0
    for kind, text in re.findall(r"```(\w*)\n(.*?)```", PAGE, flags=re.DOTALL):
        if kind == "python":
            capsys.readouterr()
            exec(compile(text, "raters.md", "exec"), names)
        elif kind == "sh":
            for line in text.splitlines():
                capsys.readouterr()
                w2s(*line.split()[1:])
        elif kind == "toml":
            place, _, recipe = text.partition("\n")
            Path(place.removeprefix("# ")).write_text(recipe)
        elif not kind:
            assert_told(capsys.readouterr().out, text)
            told += 1
    assert told == 2
