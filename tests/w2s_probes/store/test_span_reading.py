"""Rows of tokens read from shards by their bytes: in any order, long ones cut, and from shards that end too early."""

from pathlib import Path

import numpy as np
import pytest

from tests.worlds.token_stores import write_token_store
from w2s_probes import ActivationStore, InputError
from w2s_probes.rows.offsets import offsets_of
from w2s_probes.store import span_reading
from w2s_probes.store.dtypes import WORDS, StoredDtype, to_float32
from w2s_probes.store.span_reading import Spans


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("piece", [24, 200, 1 << 22])  # bytes: less than a vector, a few vectors, all of them
def test_spans_hold_what_stands_at_their_bytes_in_any_order(
    dtype: StoredDtype, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span_reading, "PIECE", piece)
    rng, width, files = np.random.default_rng(0), 7, [tmp_path / "a", tmp_path / "b"]
    size = WORDS[dtype].itemsize
    written = []
    for number, path in enumerate(files):
        words = rng.standard_normal((60, width)).astype(np.float32).view(np.uint32)
        words = (words >> 16).astype("<u2") if dtype == "bfloat16" else words.view(np.float32).astype(WORDS[dtype])
        words[41 + number] = np.array([0x7F80], "<u2")[0] if dtype == "bfloat16" else np.inf
        path.write_bytes(b"x" * (3 + number) + words.tobytes())
        written.append(to_float32(words, dtype))
    for chosen in ([0, 1, 2, 3], [5, 1, 5, 0, 9], [2], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], []):
        first, count = np.array([0, 9, 10, 10, 30, 0, 17, 17, 39, 58]), np.array([9, 1, 0, 20, 30, 17, 0, 5, 10, 2])
        file = np.repeat([0, 1], 5)
        at, rows = np.array(chosen, dtype=np.intp), count[chosen]
        out = np.full((int(rows.sum()), width), np.nan, np.float32)
        spans = Spans(files, file[at], 3 + file[at] + first[at] * width * size, rows)
        finite = spans.read_float32(dtype, out)
        expected = [written[file[one]][first[one] : first[one] + count[one]] for one in chosen]
        assert np.array_equal(out, np.concatenate([np.empty((0, width), np.float32), *expected]))
        assert np.array_equal(finite, np.isfinite(out).all(axis=1))
    assert offsets_of([]).tolist() == [0]


def test_rows_of_a_store_of_many_shards_are_those_of_its_layer(tmp_path: Path) -> None:
    write_token_store(tmp_path / "acts", 50, 8, (1, 12), shard_rows=7)
    store = ActivationStore.open(tmp_path / "acts")
    whole = to_float32(store.words(1), "bfloat16")
    stored = store.stored_tokens(1)
    ends, ids = stored.offsets, stored.token_ids
    for rows in (np.arange(50), np.arange(20, 5, -1), np.random.default_rng(0).permutation(50)[:17], np.array([13])):
        found = stored.take(rows)
        assert np.array_equal(found.values, np.concatenate([whole[ends[row] : ends[row + 1]] for row in rows]))
        assert np.array_equal(found.token_ids, np.concatenate([ids[ends[row] : ends[row + 1]] for row in rows]))
        assert np.array_equal(np.diff(found.offsets), np.diff(ends)[rows])


def test_a_shard_that_ends_too_early_or_is_gone_is_named(tmp_path: Path) -> None:
    write_token_store(tmp_path / "acts", 30, 8, (1, 12), shard_rows=10)
    store = ActivationStore.open(tmp_path / "acts")
    stored, shard = store.stored_tokens(1), tmp_path / "acts" / store.manifest.shards[1].file
    before = stored.take(np.array([0, 12, 25]))
    with shard.open("rb+") as stream:
        stream.truncate(shard.stat().st_size - 4)
    assert np.array_equal(stored.take(np.array([0, 12, 25])).values, before.values)  # of other bytes
    with pytest.raises(InputError, match=rf"{shard}: ends too early: truncated; `w2s repair` makes it anew"):
        stored.take(np.array([19]))
    shard.unlink()
    with pytest.raises(InputError, match=rf"{shard}: cannot be read \(No such file"):
        stored.take(np.array([12]))
