"""The section on undominated students of docs/systems.md: its blocks run."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from analyses.recipe.read import read_recipe
from tests.conftest import ROOT
from w2s_probes.cli import main

PAGE = (ROOT / "docs" / "systems.md").read_text()
SECTION = PAGE.partition("## Undominated students")[2].partition("\n## ")[0]


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", SECTION, flags=re.DOTALL)


def test_the_python_prints_what_the_page_says() -> None:
    (code,) = blocks("python")
    (printed,) = re.findall(r"```\n\n```\n(.*?)```", SECTION, flags=re.DOTALL)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "docs/systems.md", "exec"), {})
    assert out.getvalue() == printed


def test_the_command_would_run_on_the_miniature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = blocks("sh")[0]
    words = shlex.split(line)
    assert words[0] == "w2s"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([*words[1:], "--dry-run", "--set", "seeds=[0]", "--set", 'data.tasks=["miniature_sound"]'])
    assert ended.value.code in (0, None)
    assert "65 of 65 stages to do" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_the_table_has_every_student_of_the_recipe() -> None:
    recipe = read_recipe("robust")
    for name in recipe.methods:
        assert f"| {name} |" in SECTION
    assert "two tasks, three seeds, seven methods, nine attacks" in SECTION
    assert (len(recipe.data.tasks), len(recipe.seeds), len(recipe.methods)) == (2, 3, 7)
