"""A store as a dataset of torch and of Hugging Face: each row once, with its own label, mixed, in little memory."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.data import DataLoader

from w2s_probes import InputError, LabelSet
from w2s_probes.store import ActivationStore, row_blocks
from w2s_probes.store.shards import Content
from w2s_probes.store.torch_view import StoreRows, padded_tokens
from w2s_probes.store.writer import StoreWriter

N, WIDTH = 500, 6
IDS = np.array([f"row-{i}" for i in np.random.default_rng(3).permutation(N)], dtype=object)
X = np.random.default_rng(0).standard_normal((N, WIDTH)).astype(np.float32)
KEPT = LabelSet(IDS[::-2], np.linspace(0, 1, N // 2))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_blocks, "BLOCK", 10 * WIDTH * 4)
    monkeypatch.setattr(row_blocks, "POOLED", 4)


def opened(path: Path, names: list[str], layer: int, *, ragged: bool = False) -> StoreWriter:
    return StoreWriter.open(
        path, identity={}, sites={layer: "block"}, depth=3, width=WIDTH, dtype="float32", ids=names, shard_rows=70,
        ragged=ragged,
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ActivationStore:
    writer = opened(tmp_path_factory.mktemp("streamed") / "acts", IDS.tolist(), 3)
    for part in writer.missing():
        rows = writer.rows_of(part)
        writer.write(part, Content(writer.ids[rows], {3: X[rows]}))
    made = writer.finish({})
    assert made is not None
    return made


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> ActivationStore:
    """Twelve rows of one to four tokens, whose activations are their numbers."""
    names = [f"t{i}" for i in range(12)]
    ends = np.cumsum([0, *(1 + i % 4 for i in range(12))])
    numbers = np.arange(ends[-1], dtype=np.int32)
    words = np.repeat(numbers[:, None], WIDTH, axis=1).astype(np.float32)
    writer = opened(tmp_path_factory.mktemp("tokens") / "acts", names, 1, ragged=True)
    writer.write(0, Content(names, {1: words}, 0, ends, numbers))
    made = writer.finish({})
    assert made is not None
    return made


def right(ids: list[str], activations: Any, labels: Any = None) -> None:
    place = {name: i for i, name in enumerate(IDS)}
    assert np.array_equal(np.asarray(activations), X[[place[name] for name in ids]])
    if labels is not None:
        assert np.asarray(labels) == pytest.approx(KEPT.values(ids))


@pytest.mark.parametrize("workers", [0, 2])
def test_each_row_comes_once_with_its_own_label_however_many_workers_share_them(
    store: ActivationStore, workers: int
) -> None:
    dataset = store.torch_dataset(3, KEPT, batch_size=16)
    seen = []
    for batch in DataLoader(dataset, batch_size=None, num_workers=workers):
        assert len(batch["id"]) <= 16
        right(batch["id"], batch["activations"], batch["label"])
        seen += batch["id"]
    assert sorted(seen) == sorted(KEPT.ids)
    assert seen != sorted(seen)
    rows = store.torch_dataset(3, KEPT)
    assert len(rows) == len(KEPT)
    singly = [name for batch in DataLoader(rows, batch_size=16, num_workers=workers) for name in batch["id"]]
    assert sorted(singly) == sorted(KEPT.ids)


def order(dataset: StoreRows) -> list[str]:
    return [name for batch in DataLoader(dataset, batch_size=None) for name in batch["id"]]


def test_the_order_is_that_of_seed_and_epoch(store: ActivationStore) -> None:
    first, other = (store.torch_dataset(3, batch_size=50, seed=seed) for seed in (0, 1))
    begin = order(first)
    assert begin == order(first)
    assert begin != order(other)
    first.set_epoch(1)
    assert begin != order(first)
    plain = store.torch_dataset(3, batch_size=64, shuffle=False)
    assert order(plain) == IDS.tolist()
    assert order(store.torch_dataset(3, ids=IDS[[7, 2, 400]], batch_size=2, shuffle=False)) == IDS[[7, 2, 400]].tolist()


def test_workers_that_live_on_see_the_epoch_change(store: ActivationStore) -> None:
    dataset = store.torch_dataset(3, batch_size=50)
    loader = DataLoader(dataset, batch_size=None, num_workers=1, persistent_workers=True)
    first, again = ([name for batch in loader for name in batch["id"]] for _ in range(2))
    assert first == again
    dataset.set_epoch(5)
    assert first != [name for batch in loader for name in batch["id"]]


def test_rows_near_each_other_in_the_store_come_far_apart(store: ActivationStore) -> None:
    place = {name: i for i, name in enumerate(IDS)}
    at = np.array([place[name] for name in order(store.torch_dataset(3, batch_size=50))])
    # Of rows in random order, the mean step is a third of the store; blocks one after another would give ten rows.
    assert np.abs(np.diff(at)).mean() > N / 6


def test_rows_of_tokens_are_padded_with_a_mask(tokens: ActivationStore) -> None:
    labels = LabelSet(tokens.ids, np.linspace(0, 1, 12))
    loader = DataLoader(tokens.torch_dataset(1, labels), batch_size=5, collate_fn=padded_tokens)
    seen = []
    for batch in loader:
        assert batch["activations"].shape == (*batch["token_ids"].shape, WIDTH)
        for name, label, mask, ids, values in zip(
            batch["id"], batch["label"], batch["mask"], batch["token_ids"], batch["activations"], strict=True
        ):
            whole = tokens.tokens(1, [name])
            assert ids[mask].tolist() == whole.token_ids.tolist()
            assert np.array_equal(values[mask].numpy(), whole.values)
            assert not values[~mask].any()
            assert float(label) == pytest.approx(labels.values([name])[0])
        seen += batch["id"]
    assert sorted(seen) == sorted(tokens.ids)


def test_a_dataset_of_hugging_face_has_the_same_rows_in_shards_that_it_shuffles(
    store: ActivationStore, tokens: ActivationStore
) -> None:
    datasets = pytest.importorskip("datasets")
    dataset = store.hf_dataset(3, KEPT)
    assert isinstance(dataset, datasets.IterableDataset)
    assert dataset.num_shards > 10
    for given in (dataset, dataset.shuffle(seed=1, buffer_size=20)):
        found = list(given)
        assert sorted(row["id"] for row in found) == sorted(KEPT.ids)
        names = [row["id"] for row in found]
        right(names, [row["activations"] for row in found], [row["label"] for row in found])
    row = next(iter(tokens.hf_dataset(1, ids=["t2"])))
    assert (row["id"], row["token_ids"], np.shape(row["activations"])) == ("t2", [3, 4, 5], (3, WIDTH))


def test_what_cannot_be_streamed_is_refused_at_once(store: ActivationStore, tokens: ActivationStore) -> None:
    with pytest.raises(InputError, match="no row for 1 of 1 ids"):
        store.torch_dataset(3, ids=["none"])
    with pytest.raises(InputError, match="has no row for 250 of 500 ids"):
        store.torch_dataset(3, KEPT, ids=IDS)
    with pytest.raises(InputError, match="layer 2 is not in"):
        store.torch_dataset(2)
    for size in (0, 2.5):
        with pytest.raises(InputError, match=f"batch_size={size}: give a whole number"):
            store.torch_dataset(3, batch_size=size)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="give a LabelSet"):
        store.torch_dataset(3, KEPT.p)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="padded_tokens"):
        tokens.torch_dataset(1, batch_size=4)
    with pytest.raises(TypeError, match="number of workers"):
        len(store.torch_dataset(3, batch_size=4))


def test_without_the_library_its_extra_is_named(store: ActivationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "w2s_probes.store.datasets_view", raising=False)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install 'w2s-probes\[datasets\]'"):
        store.hf_dataset(3)
