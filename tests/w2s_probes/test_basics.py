"""Layers, ids, random streams, dtypes, files, settings: the small conventions that everything else cites."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from w2s_probes.errors import InputError, did_you_mean, preview
from w2s_probes.io.files import replacing, sha256
from w2s_probes.io.validated import validated
from w2s_probes.randomness import stream, torch_seed
from w2s_probes.rows.ids import content_id, positions, refuse_doubled
from w2s_probes.store.dtypes import check_words, to_float32
from w2s_probes.store.layers import one_layer, parse_layers


@given(st.integers(1, 80), st.data())
def test_every_index_names_itself_and_its_negative_twin(depth: int, data: st.DataObject) -> None:
    layer = data.draw(st.integers(0, depth))
    assert parse_layers(layer, depth) == parse_layers(str(layer), depth) == [layer]
    assert parse_layers(layer - depth - 1, depth) == [layer]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("all", list(range(33))),
        ("middle", [16]),
        ("0-3", [0, 1, 2, 3]),
        ("1,4,-1", [1, 4, 32]),
        ("4,1,4", [1, 4]),
        ([6, -1], [6, 32]),
    ],
)
def test_layer_specifications_of_a_model_of_32_blocks(spec: str | list[int], expected: list[int]) -> None:
    assert parse_layers(spec, 32) == expected


@pytest.mark.parametrize("spec", ["33", "-34", "3-1", "last", "", "1-", "1.5"])
def test_a_layer_that_does_not_exist_is_refused_by_name(spec: str) -> None:
    with pytest.raises(InputError, match=r"layer"):
        parse_layers(spec, 32)


def test_one_layer_refuses_several() -> None:
    with pytest.raises(InputError, match="2 layers where one"):
        one_layer("1-2", 4)


@given(st.permutations(list(range(20))), st.integers(1, 20))
def test_positions_find_each_id_in_any_order(order: list[int], n: int) -> None:
    have = np.array([f"id{i}" for i in range(20)], dtype=object)
    wanted = [f"id{i}" for i in order[:n]]
    assert have[positions(have, wanted, "here")].tolist() == wanted


def test_missing_and_doubled_ids_are_named() -> None:
    have = np.array(["a", "b"], dtype=object)
    with pytest.raises(InputError, match=r"no row for 1 of 2 ids: 'x'"):
        positions(have, ["a", "x"], "store")
    with pytest.raises(InputError, match=r"none of them match"):
        positions(have, ["x", "y"], "store")
    with pytest.raises(InputError, match="stand twice: 'a'"):
        refuse_doubled(["a", "b", "a"], "file")


@given(st.text(), st.text())
def test_content_ids_are_equal_exactly_for_equal_texts(a: str, b: str) -> None:
    a, b = (t.encode("utf-8", "replace").decode() for t in (a, b))
    assert (content_id(a) == content_id(b)) == (a == b)


@given(st.integers(0, 2**32), st.text(min_size=1), st.text(min_size=1))
def test_streams_depend_on_seed_and_name_alone(seed: int, a: str, b: str) -> None:
    a, b = (t.encode("utf-8", "replace").decode() for t in (a, b))
    first = stream(seed, a).random(3).tolist()
    assert first == stream(seed, a).random(3).tolist()
    assert (first == stream(seed, b).random(3).tolist()) == (a == b)
    assert first != stream(seed + 1, a).random(3).tolist()
    assert 0 <= torch_seed(seed, a) < 2**63


@given(st.lists(st.integers(0, 2**16 - 1), min_size=1))
def test_bfloat16_words_widen_to_the_same_numbers_as_torch(words: list[int]) -> None:
    torch = pytest.importorskip("torch")
    array = np.array([words], dtype="<u2")
    ours = to_float32(array, "bfloat16")
    theirs = torch.from_numpy(array.copy()).view(torch.bfloat16).float().numpy()
    assert ours.tobytes() == theirs.tobytes()


def test_words_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(InputError, match="uint16 words, got float32"):
        check_words(np.zeros((1, 1), np.float32), "bfloat16")
    with pytest.raises(InputError, match="cannot be stored"):
        check_words(np.zeros((1, 1), np.float32), "int8")  # type: ignore[arg-type]


@given(st.binary())
def test_a_replaced_file_is_whole_and_nothing_else_is_left(
    tmp_path_factory: pytest.TempPathFactory, new: bytes
) -> None:
    folder = tmp_path_factory.mktemp("files")
    path = folder / "deep" / "file.bin"
    with replacing(path) as temporary:
        temporary.write_bytes(new)
    assert path.read_bytes() == new
    before = sha256(path)
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_bytes(b"half") and 1 // 0
    assert sha256(path) == before
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


def test_a_write_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "new" / "deep" / "x.json"):
        _ = 1 // 0
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_written_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"), replacing(tmp_path / "file" / "x.json") as temporary:
        temporary.write_text("")


class _Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    layer: int = 0


class _Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    strong: _Inner = _Inner()
    seeds: list[int] = [0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": [1]}, r"file: unknown key 'seed'; did you mean 'seeds'\?"),
        ({"strong": {"layr": 1}}, r"file: unknown key 'strong.layr'; did you mean 'strong.layer'\?"),
        ({"strong": {"layer": "x"}}, r"file: strong.layer: input should be a valid integer"),
    ],
)
def test_settings_faults_name_the_place_and_the_nearest_key(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validated(_Outer, values, "file")


def test_messages_name_a_few_of_many() -> None:
    assert preview(["a", "b", "c", "d"]) == "'a', 'b', 'c' and 1 more"
    assert did_you_mean("zzz", ["knn", "topo"]) == "known: knn, topo"


@pytest.mark.parametrize(
    ("have", "wanted", "said"),
    [
        (
            ["a", "b"],
            [content_id("x")],
            "they were made from the texts of rows.* give both the same",
        ),
        ([content_id("x")], ["a", "b"], "there the ids were made from the texts .* give `text` in place of `id`, or"),
        ([content_id("x")], [content_id("y")], "both look made from the texts"),
        (["a"], ["b", content_id("x")], "are these labels of other rows"),
    ],
)
def test_where_ids_were_made_from_texts_a_join_of_nothing_says_so(
    have: list[str], wanted: list[str], said: str
) -> None:
    with pytest.raises(InputError, match=f"none of them match: .*{said}"):
        positions(np.array(have, dtype=object), wanted, "the store")
    positions(np.array([*have, *wanted], dtype=object), wanted, "the store")  # the control: they are there


def test_a_lazy_name_that_its_module_shares_is_not_the_module_when_it_is_asked_for_again() -> None:
    from w2s_probes import calibration

    first, again = (calibration.reliability_bins for _ in range(2))
    assert callable(first)
    assert again is first
