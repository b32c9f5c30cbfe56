"""The example in docs/systems.md on gates prints what the page says."""

import re

import pytest

from tests.conftest import ROOT


def test_the_block_on_gates_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "systems.md").read_text().partition("\n## Gates\n")[2].partition("\n## ")[0]
    ((code, printed),) = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(code, "systems.md", "exec"), {})
    assert capsys.readouterr().out == printed
