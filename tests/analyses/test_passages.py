"""Long texts are shown by head and tail, the rest is counted and on a click, and nothing of them is markup."""

import re
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyses.passages import TextTable, brief, ends, folded, one_line, passage, words_of
from analyses.report import write_report
from analyses.saliency import TokenSaliency
from tests.worlds.report_folders import write_kept

LONG = " ".join(f"word{i}" for i in range(500))


def bare(html: str) -> str:
    """What a reader sees with all details open."""
    return unescape(re.sub(r"<summary.*?</summary>|<[^>]*>", "", html))


@given(st.text(), st.integers(1, 30))
def test_a_passage_holds_every_word_once_and_no_markup(text: str, most: int) -> None:
    html = passage(text, most)
    assert bare(html).split() == one_line(text).split()
    assert set(re.findall(r"</?(\w+)", html)) <= {"details", "summary"}


def test_a_long_passage_counts_what_it_folds_away() -> None:
    html = passage(LONG, 60)
    (said,) = re.findall(r"<summary[^>]*>… ([\d,]+) words …</summary>", html)
    assert int(said) == 500 - 60
    before, after = html.split("<details")[0], html.split("</details>")[1]
    assert (len(before.split()), len(after.split())) == (40, 20)
    assert passage(" ".join(["w"] * 63), 60).count("<details") == 0  # three words are not worth a click
    assert ' style="' not in passage(LONG, 60, styled=False)


def test_line_ends_are_marked_and_stand_in_one_line() -> None:
    assert one_line("a\n\n b\r\nc") == "a ⏎ b ⏎ c"
    assert "\\n" not in brief("a\nb", 50)
    text = "first line\n" + LONG + "\nlast line"
    shown = brief(text, 80)
    assert shown.startswith("first line ⏎ word0 ")
    assert shown.endswith("⏎ last line")
    (between,) = re.findall(r"… (\d+) words …", shown)
    head, tail = re.split(r" … \d+ words … ", shown)
    assert len([*head.replace("⏎", "").split(), *tail.replace("⏎", "").split()]) + int(between) == len(text.split())


@given(st.integers(0, 3000), st.integers(1, 200))
def test_head_and_tail_leave_a_middle_worth_a_click(count: int, most: int) -> None:
    parted = ends(count, most)
    assert (parted is None) == (count <= most + max(3, most // 10))
    if parted is not None:
        assert sum(parted) == most


def test_a_table_of_texts_is_a_table_that_can_be_read() -> None:
    table = TextTable({"id": ["a", "b"], "margin": [-0.5, 0.25], "text": [f"<b>{LONG}", "two\nlines"]})
    assert isinstance(table, pd.DataFrame)
    assert table["text"].tolist()[1] == "two\nlines"  # the values are as they were
    lines = repr(table).splitlines()
    assert "two ⏎ lines" in lines[2]
    assert lines[1].index("<b>word0") == lines[2].index("two")  # on the left
    assert "words …" in lines[1]
    html = table._repr_html_()
    assert "&lt;b&gt;word0" in html
    assert "<summary" in html
    assert "two ⏎ lines" in html
    assert '<td style="text-align:right;vertical-align:top">-0.500</td>' in html
    assert type(table[["id"]]) is pd.DataFrame


def saliency(scores: list[float], tokens: list[str] | None = None) -> TokenSaliency:
    numbers = np.array(scores)
    n = len(numbers)
    tokens = tokens or [f"t{i} " for i in range(n)]
    unknown = np.full(n, np.nan)
    return TokenSaliency(
        "x", tokens, np.arange(n, dtype=np.int32), 1, "last", True, 0.5, numbers, numbers, numbers / 10, unknown
    )


def colours(html: str) -> list[str]:
    return re.findall(r'<span style="background:(#\w{6})', html.split("gradient × input")[0])


def test_scores_are_coloured_by_their_distance_from_the_texts_own_level() -> None:
    spread = np.arange(-8, 9) / 8  # exact in binary, so that a shift of all loses no digit
    low, middle = (colours(saliency((spread + level).tolist())._repr_html_()) for level in (-8.0, 0.0))
    assert low == middle  # a text that is all one class shows its words as any other
    assert low[8] == "#f7f7f7"
    assert low[0] != low[-1]
    html = saliency((spread - 8).tolist())._repr_html_()
    assert "nearer to label 0 ≤ -9" in html
    assert "(white: -8; log-odds, its median)" in html
    assert "0% of the tokens are above 0, where the probe says 1" in html
    assert "(white: 0; log-odds; 0 moves nothing)" in html  # what tokens add has a zero of its own


def test_equal_scores_have_no_colours_and_say_so() -> None:
    html = saliency([2.0] * 5)._repr_html_()
    assert set(colours(html)) == {"#f7f7f7"}
    assert "every token has +2.00, so none is coloured" in html


def test_a_long_text_is_folded_in_the_token_view_and_short_in_a_terminal() -> None:
    found = saliency(np.sin(np.arange(400) / 9).tolist())
    html = found._repr_html_()
    assert re.findall(r"… (\d+) tokens …", html) == ["320", "320"]
    assert all(html.count(f">t{i} </span>") == 2 for i in range(400))
    text = repr(found)
    assert max(map(len, text.splitlines())) < 400
    assert "(a mark is the mean of about 5 tokens)" in text
    assert "lowest -1.00, highest +1.00" in text
    assert found.figure()._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_a_token_that_is_a_line_end_can_be_seen() -> None:
    assert ">⏎\n</span>" in saliency([1.0, 2.0], ["a", "\n"])._repr_html_()


@pytest.mark.parametrize("pieces", [[], ["a"], ["a"] * 50])
def test_pieces_are_all_there(pieces: list[str]) -> None:
    assert bare(folded(pieces, 5, "token")).replace(" ", "") == "".join(pieces)
    assert words_of("") == []


def test_a_report_shows_head_and_tail_of_a_dropped_row_and_the_rest_on_a_click(tmp_path: Path) -> None:
    write_kept(tmp_path / "kept.jsonl", f"<i>a\n{LONG} the end")
    html = write_report(tmp_path).read_text(encoding="utf-8")
    (said, *_) = re.findall(r'<details class="fold"><summary>… (\d+) words …</summary>', html)
    assert int(said) > 400
    assert "&lt;i&gt;a ⏎ word0 " in html
    assert "word250" in html
    assert "the end" in html
    assert "details.fold" in html  # the page's own rule: it forbids inline styles
