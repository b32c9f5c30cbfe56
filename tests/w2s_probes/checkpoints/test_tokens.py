"""Texts as tokens: extraction and fine-tuning read the same ids, cut the same texts, and batch them alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from extract.encoding import Encoding
from extract.models.source import ModelSource
from tests.worlds.finetuning import task
from w2s_probes.checkpoints.batches import batches, padded, padding_moved_right
from w2s_probes.students.finetuning.classifier import Checkpoint
from w2s_probes.students.texts import tokenize

Made = Callable[..., Path]
LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=40)


@pytest.mark.parametrize("limit", [None, 7, 19])
@pytest.mark.parametrize("family", ["llama", "bert"])
def test_both_read_the_same_tokens_and_cut_the_same_texts(family: str, limit: int | None, checkpoint: Made) -> None:
    texts = list(task(30).texts)
    source, student = ModelSource.find(str(checkpoint(family))), Checkpoint.open(checkpoint(family))
    extracted = Encoding(limit, "right", None).encode(source.tokenizer, [str(i) for i in range(30)], texts)
    taught = tokenize(student.tokenizer, texts, limit, "train")
    assert [row.tolist() for row in extracted.rows] == [row.tolist() for row in taught.rows]
    longer = [len(text.split()) > (limit or 99) for text in texts]
    assert extracted.cut == taught.cut == sum(longer)
    assert taught.lengths.tolist() == [min(len(text.split()), limit or 99) for text in texts]


def test_no_texts_have_no_tokens(checkpoint: Made) -> None:
    assert tokenize(Checkpoint.open(checkpoint()).tokenizer, [], 8, "t").rows == []
    source = ModelSource.find(str(checkpoint()))
    assert Encoding(8, "right", None).encode(source.tokenizer, [], []).rows == []


@given(LENGTHS, st.integers(1, 500), st.integers(1, 30))
def test_batches_are_a_partition_within_the_budget_longest_first(lengths: list[int], budget: int, edge: int) -> None:
    modes: list[Any] = [lambda length: 0, lambda length: length > edge]
    for mode in modes:
        parts = list(batches(lengths, budget, mode=mode))
        assert sorted(row for part in parts for row in part) == list(range(len(lengths)))
        assert [lengths[row] for part in parts for row in part] == sorted(lengths, reverse=True)
        for part in parts:
            assert len(part) == 1 or len(part) * lengths[part[0]] <= budget
            assert len({mode(lengths[row]) for row in part}) == 1


@given(LENGTHS)
def test_padding_can_be_told_from_tokens_on_either_side(lengths: list[int]) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 5, size=length).astype(np.int32) for length in lengths]
    right, left = padded(rows, 0), padded(rows, 0, left=True)
    assert right[0].dtype == right[1].dtype == torch.int64
    for row, ids in enumerate(rows):
        for padded_ids, mask in (right, left):
            assert padded_ids[row][mask[row].bool()].tolist() == ids.tolist()
    moved = padding_moved_right(*left)
    assert torch.equal(moved[1], right[1])
    assert torch.equal(moved[0], right[0])
