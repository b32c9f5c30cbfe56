"""A dozen families that no other test reads, that the census sees planted faults, and that its page is complete."""

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor
from transformers import CONFIG_MAPPING, ErnieModel

from extract.forward.trace import Position, pool
from tests.census.measure import DIFFERS, NAMED, READ, REFUSED, UNBUILT, Result, measure, reads_tokens
from tests.census.page import named_types, page

FAMILIES = (
    *("cohere2", "deepseek_v3", "ernie", "gpt_neo", "gptj", "granite", "lfm2", "longformer", "mpnet", "olmo2"),
    *("mamba", "recurrent_gemma", "xglm"),
)
FORWARD = ErnieModel.forward


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_read_alike_in_every_company(family: str, tmp_path: Path) -> None:
    assert measure(family, tmp_path).heading == READ


def test_what_reads_no_text_is_refused_and_what_cannot_be_built_is_told_apart(tmp_path: Path) -> None:
    refused = measure("whisper", tmp_path)
    assert refused.heading == REFUSED
    assert "takes no token ids" in refused.line
    unbuilt = measure("encoder-decoder", tmp_path)
    assert unbuilt.heading == UNBUILT


def without_mask(self: Any, input_ids: Tensor, attention_mask: Tensor | None = None, **options: Any) -> Any:
    """As a model that ignores what is padding."""
    return FORWARD(self, input_ids, **options)


def of_another_token(self: Any, input_ids: Tensor, **options: Any) -> Any:
    """As a model whose states stand in another order than its tokens."""
    return FORWARD(self, input_ids.roll(1, dims=1), **options)


def shifted_pool(states: Tensor, mask: Tensor, position: Position) -> Tensor:
    """As a reader that takes other numbers, the same ones in every company."""
    return pool(states.roll(1, dims=2), mask, position)


@pytest.mark.parametrize(
    ("place", "fault", "heading", "line"),
    [
        ("transformers.ErnieModel.forward", without_mask, REFUSED, "read alone differs from the same row in a batch"),
        ("transformers.ErnieModel.forward", of_another_token, REFUSED, "read alone differs from the same row"),
        ("extract.forward.trace.pool", shifted_pool, DIFFERS, "alone its vectors differ from those of plain hooks by"),
    ],
)
def test_the_census_sees_planted_faults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str, fault: Any, heading: str, line: str
) -> None:
    monkeypatch.setattr(place, fault)
    result = measure("ernie", tmp_path)
    assert result.heading == heading
    assert line in result.line


def test_the_page_counts_and_names_what_was_tried() -> None:
    results = {"b": Result(READ, "4 blocks"), "a": Result(READ, "x|y"), "c": Result(NAMED, "--blocks layers")}
    lines = page(results).splitlines()
    assert [line.split("|")[2].strip() for line in lines if line.startswith("| read")] == ["2", "1"]
    assert [line for line in lines if line.startswith("| `")] == [
        *("| `a` | x\\|y |", "| `b` | 4 blocks |", "| `c` | --blocks layers |")
    ]


def test_the_page_names_every_type_that_reads_tokens() -> None:
    missing = list(filter(reads_tokens, set(CONFIG_MAPPING) - named_types()))  # these alone: each is imported
    assert not missing, f"docs/families.md does not name {', '.join(sorted(missing))}: run `make census`"
