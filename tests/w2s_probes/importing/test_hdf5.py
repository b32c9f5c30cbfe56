"""HDF5 by a mapping, and as probelab writes it: the right rows, layers and tokens, and one line a fault."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from tests.conftest import run_failing
from w2s_probes.errors import InputError
from w2s_probes.importing import import_hdf5
from w2s_probes.io.tables import write_table

IDS = ["a", "b", "c"]
LENGTHS = [2, 3, 1]
OFFSETS = np.array([0, 2, 5, 6])
WIDTH = 4
DENSE = np.arange(3 * 2 * WIDTH, dtype=np.float32).reshape(3, 2, WIDTH)  # (rows, layers, width)
FLAT = np.arange(6 * 2 * WIDTH, dtype=np.float32).reshape(6, 2, WIDTH)  # (tokens, layers, width)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    write_table(pd.DataFrame({"id": IDS, "text": ["x y", "x y z", "x"]}), tmp_path / "rows.jsonl")
    return tmp_path


def saved(here: Path, attributes: dict[str, str] | None = None, packed: str | None = None, **datasets: Any) -> Path:
    with h5py.File(here / "acts.h5", "w") as file:
        for name, values in datasets.items():
            packing = {"compression": packed} if packed and np.ndim(values) > 1 else {}
            file.create_dataset(name.replace("__", "/"), data=values, **packing)
        file.attrs.update(attributes or {})
    return here / "acts.h5"


def imported(here: Path, *mapping: str, name: str = "acts", **given: Any) -> Any:
    return import_hdf5(here / "acts.h5", here / "rows.jsonl", here / name, mapping=mapping, **given)


@pytest.mark.parametrize("packed", [None, "gzip"])
def test_a_mapping_names_the_states_and_their_layers(here: Path, packed: str | None) -> None:
    saved(here, acts__states=DENSE, acts__numbers=[8, 16], packed=packed)
    asked = ("states=acts/states", "layers=acts/numbers")
    store = imported(here, *asked, position="last", depth=32, model="/home/alice/llama")
    assert (store.layers, store.manifest.identity["model"]) == ([8, 16], "llama")
    assert [store.layer(layer).tolist() for layer in (8, 16)] == [DENSE[:, 0].tolist(), DENSE[:, 1].tolist()]
    assert imported(here, "states=acts/states", "layers=acts/numbers", layers="16", name="one").layers == [16]
    (here / "map.toml").write_text('states = "acts/states"\n')
    named = imported(here, str(here / "map.toml"), layers="3,5", name="named")
    assert named.layer(5).tolist() == DENSE[:, 1].tolist()
    saved(here, states=DENSE.swapaxes(0, 1))
    assert imported(here, "states=states", layers="3,5", name="first").layer(5).tolist() == DENSE[:, 1].tolist()
    saved(here, l8=DENSE[:, 0], l16=DENSE[:, 1])
    assert imported(here, "8=l8", "16=l16", name="each").layer(16).tolist() == DENSE[:, 1].tolist()


def test_rows_are_joined_by_the_files_own_ids(here: Path) -> None:
    order = [2, 0, 1]
    saved(here, states=DENSE[order], names=np.array([IDS[row] for row in order], dtype=h5py.string_dtype()))
    store = imported(here, "states=states", "ids=names", layers="1,2", depth=4)
    assert list(store.ids) == IDS
    assert store.layer(2).tolist() == DENSE[:, 1].tolist()


def test_the_token_at_the_position_is_taken_and_tokens_are_compared(here: Path) -> None:
    saved(here, states=FLAT, ends=OFFSETS, tokens=np.array([5, 6, 5, 6, 7, 5]))
    asked = ("states=states", "offsets=ends", "token_ids=tokens")
    for position, places in (("last", OFFSETS[1:] - 1), ("first", OFFSETS[:-1])):
        store = imported(here, *asked, position=position, layers="1,2", depth=4, name=position)
        assert store.layer(2).tolist() == FLAT[places, 1].tolist()
    right = [[5, 6], [5, 6, 7], [5]]
    given: dict[str, Any] = {"position": "last", "layers": "1,2", "depth": 4}
    checked = imported(here, *asked, **given, tokenize=lambda ids, texts: right, name="checked")
    assert checked.manifest.notes["tokens_checked"] is True
    for wrong, message in [
        ([[5, 6], [5, 6], [5]], "row 'b' has 3 tokens there, and the tokenizer gives 2"),
        ([[5, 6], [5, 8, 7], [5]], "row 'b': token 2 is 6 there, and the tokenizer gives 8"),
    ]:
        with pytest.raises(InputError, match=message):
            imported(here, *asked, **given, tokenize=lambda ids, texts, wrong=wrong: wrong, name="wrong")
    assert not (here / "wrong").exists()


def halves(values: np.ndarray) -> np.ndarray:
    """bfloat16 as words: the upper half of each float32, which these numbers lose nothing by."""
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def test_probelab_files_are_read_as_their_attributes_say(here: Path) -> None:
    asked: dict[str, Any] = {"layout": "probelab", "position": "last", "depth": 8}
    about = {"dims": "blsh", "dtype": "torch.bfloat16", "metadata": "{}"}
    saved(here, about, data=halves(FLAT), layers=[3, 5], offsets=OFFSETS, detection_mask=np.ones(6, dtype=bool))
    store = imported(here, **asked)
    assert (store.layers, store.manifest.dtype) == ([4, 6], "bfloat16")
    assert store.layer(6).tolist() == FLAT[OFFSETS[1:] - 1, 1].tolist()
    saved(here, about | {"dims": "blh", "dtype": "torch.float32"}, data=DENSE, layers=[3, 5])
    assert imported(here, **asked, name="dense").layer(4).tolist() == DENSE[:, 0].tolist()
    saved(here, about | {"dims": "bsh", "dtype": "torch.float32"}, data=FLAT[:, 0], offsets=OFFSETS)
    assert imported(here, **asked, layers=7, name="one").layer(7).tolist() == FLAT[OFFSETS[1:] - 1, 0].tolist()
    with pytest.raises(InputError, match="holds 1 layers, and they are named None"):
        imported(here, **asked, name="no")
    saved(here, about | {"dims": "blh", "dtype": "torch.float32"}, data=DENSE, layers=[6, 7])
    with pytest.raises(InputError, match="layer 8 is the last"):
        imported(here, **asked, name="no")
    saved(here, about | {"dims": "blh", "dtype": "torch.float32"}, data=DENSE, layers=[-2, -1])
    with pytest.raises(InputError, match="name each once"):
        imported(here, **asked, name="no")
    saved(here, data=DENSE)
    with pytest.raises(InputError, match="no attributes `dims`"):
        imported(here, **asked, name="no")


def linked(here: Path) -> None:
    saved(here, states=DENSE)
    (here / "acts.h5").rename(here / "other.h5")
    with h5py.File(here / "acts.h5", "w") as file:
        file["states"] = h5py.ExternalLink(str(here / "other.h5"), "states")


def enormous(here: Path) -> None:
    with h5py.File(here / "acts.h5", "w") as file:
        file.create_dataset("states", shape=(3, 2, 10**9), dtype="f4", chunks=(1, 1, 10**6), compression="gzip")


STATES = ("states=states",)
FAULTS: list[tuple[Callable[[Path], object], tuple[str, ...], dict[str, Any], str]] = [
    (lambda here: saved(here, states=DENSE), (), {}, "by --mapping, or by --layout probelab"),
    (lambda here: saved(here, states=DENSE), ("states=x",), {}, "no dataset 'x' of its own; it holds .*states"),
    (lambda here: saved(here, states=DENSE), STATES, {}, "layer 1 is the last"),
    (lambda here: saved(here, states=DENSE[:2]), STATES, {"layers": "1,2"}, r"shape \(2, 2, 4\), but there are 3 rows"),
    (lambda here: saved(here, states=DENSE[:, 0]), STATES, {}, "name each once"),
    (lambda here: saved(here, states=DENSE[:2, 0]), STATES, {"layers": 4}, "3 rows"),
    (lambda here: saved(here, states=DENSE), STATES, {"layers": "1,2,3"}, "holds 2 layers, and they are named"),
    (lambda here: saved(here, states=DENSE.astype(int)), STATES, {"layers": "1,3"}, "holds int64; a store holds"),
    (lambda here: saved(here, states=DENSE * np.nan), STATES, {"layers": "1,3"}, "layer 1 of row 'a' is not finite"),
    (lambda here: saved(here, l1=DENSE[:, 0], l2=DENSE[:, 1, :2]), ("1=l1", "3=l2"), {}, "several formats or widths"),
    (lambda here: saved(here, states=FLAT, o=OFFSETS), (*STATES, "offsets=o"), {"layers": "1,3"}, "say --position"),
    (
        lambda here: saved(here, states=FLAT, o=[0, 2, 2, 6]),
        (*STATES, "offsets=o"),
        {"layers": "1,3", "position": "last"},
        "the shortest of 0 tokens",
    ),
    (
        lambda here: saved(here, states=FLAT, o=OFFSETS - 1),
        (*STATES, "offsets=o"),
        {"layers": "1,3", "position": "last"},
        "offsets begin with 0",
    ),
    (
        lambda here: saved(here, states=FLAT[:5], o=OFFSETS),
        (*STATES, "offsets=o"),
        {"layers": "1,3", "position": "last"},
        "but there are 6 rows",
    ),
    (
        lambda here: saved(here, states=DENSE, i=[1, 2, 3]),
        (*STATES, "ids=i"),
        {"layers": "1,3"},
        "6 ids are not in both files",
    ),
    (linked, STATES, {"layers": "1,3"}, "no dataset 'states' of its own"),
    (enormous, STATES, {"layers": "1,3"}, "larger than the file"),
    (lambda here: (here / "acts.h5").write_bytes(b"\x89HDF\r\n\x1a\n"), STATES, {}, "not a readable HDF5 file"),
    (lambda here: saved(here, states=DENSE), ("states=states", "1=states"), {}, "one of the two"),
    (lambda here: saved(here, states=DENSE), ("states=a", "states=b"), {}, "says states twice"),
]


@pytest.mark.parametrize(("make", "mapping", "given", "message"), FAULTS, ids=[fault[3] for fault in FAULTS])
def test_faults_are_one_line_and_nothing_is_written(
    here: Path, make: Callable[[Path], object], mapping: tuple[str, ...], given: dict[str, Any], message: str
) -> None:
    make(here)
    with pytest.raises(InputError, match=message) as refused:
        imported(here, *mapping, **given)
    assert "\n" not in str(refused.value)
    assert not (here / "acts").exists()


def test_the_command_takes_a_mapping(here: Path, w2s: Callable[..., None]) -> None:
    saved(here, states=FLAT, ends=OFFSETS)
    asked = [here / "acts.h5", "--rows", here / "rows.jsonl", "--layers", "1,2", "--depth", "4", "--out", here / "out"]
    w2s("import", *asked, "--mapping", "states=states", "--mapping", "offsets=ends", "--position", "last")
    w2s("verify", here / "out")
    assert "not each other" in run_failing("import", *asked, "--mapping", "states=states", "--layout", "vllm")
