"""The report's section of debates: what is told of A's sides depends on whether they are drawn."""

from typing import Any

import pytest

from analyses.report.views.debate_view import _for_truth, _held

RECORD: dict[str, Any] = {"members": 4, "rows": 40, "turns": 80, "turns_cut": 0, "turns_empty": 0, "a_for_truth": 0.5}
RECORD |= {"transcript_tokens": 9.0, "kept_tokens": 9.0, "transcripts_cut": 0.0, "a_rows": 100}


@pytest.mark.parametrize(("protocol", "drawn"), [("debate", True), ("consultancy", True), ("market-making", False)])
def test_chance_is_told_where_sides_are_drawn(protocol: str, drawn: bool) -> None:
    one = RECORD | {"protocol": protocol}
    assert ("±" in _for_truth(one).text) == drawn
    assert ("by chance" in _held([("task", 0, one)]).columns[-1].about) == drawn
