"""The blocks of docs/remote.md are run, with a folder of the test's in place of /home/me."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytest.importorskip("fsspec")
PAGE = (ROOT / "docs" / "remote.md").read_text()
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def test_what_the_page_shows_is_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], w2s: Callable[..., None]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = [(kind, text.replace("/home/me", str(tmp_path))) for kind, text in BLOCK.findall(PAGE)]
    shown = 0
    for (kind, text), (_, printed) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind == "sh":
            for line in text.splitlines():
                if line.startswith("w2s "):
                    w2s(*shlex.split(line)[1:])
        elif kind == "python":
            exec(compile(text, "docs/remote.md", "exec"), {})
        out = capsys.readouterr().out
        if out:
            assert out == printed
            shown += 1
    assert shown == 6
