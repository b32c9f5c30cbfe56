"""The examples in docs/systems.md print what the page says."""

import re

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize("section", ["Gates", "Logit fusion", "A model that speaks", "Debate"])
def test_the_block_of_a_section_prints_what_the_page_says(
    section: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "systems.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    ((code, printed),) = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(code, "systems.md", "exec"), {})
    assert capsys.readouterr().out == printed
