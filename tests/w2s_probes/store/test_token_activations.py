"""Rows of tokens: taken in any order, from memory, from disk, or from several stores as one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from extract.extractor import Extraction, extract
from w2s_probes import InputError
from w2s_probes.store import TokenActivations
from w2s_probes.store.token_activations import JoinedTokens


def same(one: TokenActivations, other: TokenActivations) -> None:
    assert np.array_equal(one.values, other.values)
    assert one.offsets.tolist() == other.offsets.tolist()
    assert one.token_ids.tolist() == other.token_ids.tolist()
    assert one.ids is not None
    assert other.ids is not None
    assert one.ids.tolist() == other.ids.tolist()


def test_rows_are_taken_alike_from_memory_disk_and_several_stores(
    tmp_path: Path, checkpoint: Callable[..., Path], rows: pd.DataFrame
) -> None:
    model = str(checkpoint())
    store, first, rest = (
        extract(Extraction.plan(model, part, position="all"), tmp_path / name)
        for name, part in (("all", rows), ("first", rows[:15]), ("rest", rows[15:]))
    )
    whole, stored = store.tokens(2), store.stored_tokens(2)
    assert stored.offsets.tolist() == whole.offsets.tolist()
    assert stored.token_ids.tolist() == whole.token_ids.tolist()
    assert (stored.width, whole.width) == (32, 32)
    mixed = np.random.default_rng(0).permutation(40)
    parts = [first.stored_tokens(2), rest.stored_tokens(2)]
    joined = JoinedTokens(
        parts, np.column_stack([mixed >= 15, np.where(mixed >= 15, mixed - 15, mixed)]).astype(np.intp)
    )
    assert joined.offsets.tolist() == whole.take(mixed).offsets.tolist()
    assert joined.token_ids.tolist() == whole.take(mixed).token_ids.tolist()
    for wanted in (np.arange(3, 9), np.array([7]), np.array([30, 2, 2, 11])):
        same(stored.take(wanted), whole.take(wanted))
        by_whole = whole.take(mixed[wanted])
        assert joined.take(wanted).values == pytest.approx(by_whole.values, abs=1e-5)  # of other batches
        assert joined.take(wanted).token_ids.tolist() == by_whole.token_ids.tolist()
        assert joined.take(wanted).offsets.tolist() == by_whole.offsets.tolist()
    some = store.stored_tokens(2, ids=["row-9", "row-1"])
    same(some.take(np.array([1])), whole.take(np.array([1])))


def test_a_store_of_one_vector_a_row_has_no_tokens_on_disk(
    tmp_path: Path, checkpoint: Callable[..., Path], rows: pd.DataFrame
) -> None:
    store = extract(Extraction.plan(str(checkpoint()), rows, position="last"), tmp_path / "acts")
    with pytest.raises(InputError, match="extract with --position all for its tokens"):
        store.stored_tokens(2)
