"""The example of docs/steering.md prints what the page says, and its commands have options that there are."""

import contextlib
import io
import re
import shlex

import pytest

from tests.conftest import ROOT
from tests.test_readme import assert_told

PAGE = (ROOT / "docs" / "steering.md").read_text()


def test_the_example_prints_what_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (code, said) = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", PAGE, flags=re.DOTALL).groups()  # type: ignore[union-attr]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "docs/steering.md", "exec"), {})
    assert_told(printed.getvalue(), said)


def test_the_commands_are_ones_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from w2s_probes.cli.app import load

    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
    lines = block.replace("\\\n", "").strip().splitlines()
    assert len(lines) == 2
    for line in lines:
        _, verb, *words = shlex.split(line)
        load(verb).make_context(verb, words)
