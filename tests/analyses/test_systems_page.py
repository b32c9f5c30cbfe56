"""The examples in docs/systems.md print what the page says."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT
from w2s_probes import auroc


@pytest.mark.parametrize("section", ["Gates", "Logit fusion", "A model that speaks", "Debate"])
def test_the_block_of_a_section_prints_what_the_page_says(
    section: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "systems.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    ((code, printed),) = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(code, "systems.md", "exec"), {})
    assert capsys.readouterr().out == printed


def test_the_commands_of_a_model_that_learns_to_say_labels_run(
    w2s: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "systems.md").read_text().partition("\n## A model that speaks\n")[2].partition("\n## ")[0]
    *_, block = re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)
    student, predict = block.replace("\\\n", "").replace("runs/", f"{tmp_path}/").strip().splitlines()
    w2s(*shlex.split(student)[1:])
    w2s(*shlex.split(predict)[1:])
    said = pd.read_json(tmp_path / "said.jsonl", lines=True)
    assert auroc(said["given_label"], said["label"]) > 0.7
