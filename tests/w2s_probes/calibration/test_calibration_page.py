"""The blocks of docs/calibration.md run, and print what the page says."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from w2s_probes.cli import main

PAGE = (ROOT / "docs" / "calibration.md").read_text()


def test_the_blocks_of_the_page_run_and_print_what_it_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    told = 0
    for kind, text in re.findall(r"```(\w*)\n(.*?)```", PAGE, flags=re.DOTALL):
        if kind == "python":
            exec(compile(text, "calibration.md", "exec"), names)
        elif kind == "sh":
            for line in text.splitlines():
                with pytest.raises(SystemExit, match=r"^0$"):
                    main(shlex.split(line)[1:])
        elif not kind:
            assert capsys.readouterr().out == text
            told += 1
    assert told == 3
