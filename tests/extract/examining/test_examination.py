"""Each fault that is planted into a store is named, layer by layer, and a store that is right passes.

The vectors come from transformers' own `output_hidden_states`, row by row; layer 4 before the norm from a hook.
"""

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer

from extract.examining import Examination, Subject, examine
from extract.examining.sampling import drawn_places
from extract.extractor import Extraction, extract
from tests.conftest import ROOT, run_failing
from w2s_probes import ActivationStore, InputError
from w2s_probes.importing import import_activations
from w2s_probes.io.tables import write_table
from w2s_probes.store.manifest import Manifest

MODEL = ROOT / "data" / "miniature" / "strong"
ROWS, SAMPLE = 40, 12
Numbers = NDArray[np.float32]
Pick = Callable[[torch.Tensor], torch.Tensor]


def last(states: torch.Tensor) -> torch.Tensor:
    return states[-1]


def first(states: torch.Tensor) -> torch.Tensor:
    return states[0]


def mean(states: torch.Tensor) -> torch.Tensor:
    return states.mean(dim=0)


class Reference:
    """The miniature, read without any code of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with gzip.open(ROOT / "data" / "miniature" / "rows" / "miniature_mood" / "train.jsonl.gz", "rt") as lines:
            texts = [json.loads(line)["text"].split() for line, _ in zip(lines, range(ROWS), strict=False)]
        self.rows = pd.DataFrame(
            {
                "id": [f"r{i}" for i in range(ROWS)],
                "text": [" ".join(words[: 9 + i * 7 % 13]) for i, words in enumerate(texts)],
            }
        )
        write_table(self.rows, folder / "rows.jsonl")
        tokenizer: Any = AutoTokenizer.from_pretrained(MODEL)
        self.tokens: list[list[int]] = tokenizer(self.rows["text"].tolist())["input_ids"]
        model: Any = AutoModelForCausalLM.from_pretrained(MODEL)
        self.trunk = model.model.eval()
        self.trunk.layers[-1].register_forward_hook(lambda _m, _a, out: setattr(self, "stream", out))
        self.stream: Any = None

    @torch.no_grad()
    def vectors(self, tokens: Sequence[Sequence[int]], pick: Pick) -> Numbers:
        """(rows, 6, width): layers 0 to 4, and the last after the final norm."""
        rows = []
        for row in tokens:
            states = self.trunk(input_ids=torch.tensor([row]), output_hidden_states=True).hidden_states
            stream = self.stream if isinstance(self.stream, torch.Tensor) else self.stream[0]
            rows.append(torch.stack([pick(layer[0]) for layer in (*states[:-1], stream, states[-1])]).numpy())
        return np.stack(rows)

    def stored(self, name: str, layers: Sequence[Numbers], **given: Any) -> ActivationStore:
        np.save(self.folder / f"{name}.npy", np.stack(layers, axis=1))
        return import_activations(
            self.folder / f"{name}.npy",
            self.folder / "rows.jsonl",
            self.folder / name,
            order="rows",
            **({"last_entry": "pre-norm", "position": "last"} | given),
        )

    def examined(self, store: ActivationStore, **given: Any) -> Examination:
        return examine(Subject.of(store, str(MODEL), self.rows, **given), sample=SAMPLE)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return Reference(tmp_path_factory.mktemp("examined"))


@pytest.fixture(autouse=True)
def fewer_pads(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than these rows can have is not tried here: it takes seconds."""
    monkeypatch.setattr("extract.examining.padding.MOST", 14)
    monkeypatch.setattr("extract.examining.padding.ROUND", (32,))


@pytest.fixture(scope="module")
def right(world: Reference) -> Numbers:
    return world.vectors(world.tokens, last)


def said(found: Examination) -> list[str]:
    return ["; ".join(layer.faults) for layer in found.layers]


def test_a_right_store_passes_at_every_position_and_in_every_format(world: Reference, right: Numbers) -> None:
    for pick in (last, first, mean):
        vectors = world.vectors(world.tokens, pick)
        found = world.examined(world.stored(pick.__name__, list(vectors.swapaxes(0, 1)[:5]), position=pick.__name__))
        assert found.ok, said(found)
        assert not found.remarks
        assert max(layer.difference for layer in found.layers) < 1e-5
    halves = torch.from_numpy(right[:, :5]).bfloat16().view(torch.int16).numpy().view(np.uint16)
    found = world.examined(world.stored("halves", list(halves.swapaxes(0, 1)), dtype="bfloat16"))
    assert found.ok, said(found)
    assert "holds bfloat16, and" in found.remarks[0]
    unsaid = world.examined(world.stored("unsaid", list(vectors.swapaxes(0, 1)[:5]), position="unknown"))
    assert unsaid.ok
    assert unsaid.position == "mean"


def test_another_layer_row_position_and_the_norm_are_named(world: Reference, right: Numbers) -> None:
    layers = [
        right[:, 0],
        right[:, 2],
        np.roll(right[:, 2], -1, axis=0),
        world.vectors(world.tokens, first)[:, 3],
        right[:, 5],
    ]
    found = world.examined(world.stored("planted", layers))
    first_drawn = f"r{min(0, *drawn_places(ROWS, SAMPLE))}"
    assert said(found) == [
        "",
        "holds layer 2",
        f"holds the row after: at row '{first_drawn}' that of 'r{int(first_drawn[1:]) + 1}'",
        "position first, not last",
        "post-norm: after the model's final norm",
    ]
    assert [layer.holds and (layer.holds.layer, layer.shift) for layer in found.layers] == [
        (0, 0),
        (2, 0),
        (2, 1),
        (3, 0),
        (4, 0),
    ]


def test_rounding_the_order_and_single_rows_are_named(world: Reference, right: Numbers) -> None:
    swapped = right[:, 4].copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    layers = [
        np.roll(right[:, 0], 1, axis=0),
        torch.from_numpy(right[:, 1]).bfloat16().float().numpy(),
        right[:, 2][np.random.default_rng(0).permutation(ROWS)],
        (right[:, 3] * (1 + 2e-3 * np.random.default_rng(1).normal(size=right[:, 3].shape))).astype(np.float32),
        swapped,
    ]
    found = said(world.examined(world.stored("rounded", layers)))
    assert found[0].startswith("holds the row before")
    assert found[1] == "rounded to bfloat16, and kept as float32"
    assert found[2].startswith("rows in another order: the vector of row 'r0' stands at row 'r")
    assert found[3].startswith("rounded: differs by 0.00")
    assert found[4].endswith(" rows differ, first 'r0', whose vector stands at row 'r1'")


def test_rows_in_another_order_are_named_at_a_position_that_the_store_does_not_tell(world: Reference) -> None:
    for pick in (mean, last):  # the first token is the same in every row
        vectors = world.vectors(world.tokens, pick)[np.random.default_rng(1).permutation(ROWS)]
        store = world.stored(f"mixed-{pick.__name__}", list(vectors.swapaxes(0, 1)[:5]), position="unknown")
        found = world.examined(store)
        words = said(found)[
            1 if pick is first else 0 :
        ]  # the first token is the same in every row, and so its embedding
        assert found.position == pick.__name__
        assert all(one.startswith("rows in another order: the vector of row 'r") for one in words), words


def test_other_tokens_and_another_model_are_named(world: Reference, right: Numbers) -> None:
    bare = world.vectors([row[1:] for row in world.tokens], last)
    cut = world.vectors([row[:8] for row in world.tokens], last)
    layers = [
        right[:, 0],
        bare[:, 1],
        cut[:, 2],
        world.vectors([row[:-1] for row in world.tokens], last)[:, 3],
        right[:, 4][:, ::-1],
    ]
    found = said(world.examined(world.stored("tokens", layers)))
    assert found[0] == ""
    assert found[1].startswith("other tokens: without the special tokens that the tokenizer adds (")
    assert f"{len(world.tokens[0]) - 1} tokens, not {len(world.tokens[0])}, in row 'r0'" in found[1]
    assert found[2:4] == ["token 8 of each row, not last", "token 2 from the end, not last"]
    assert found[4].startswith("another model or other texts")


@pytest.mark.parametrize("kept", ["float32", "bfloat16"])
def test_left_padding_that_was_read_is_named_in_half_precision_too(world: Reference, right: Numbers, kept: Any) -> None:
    longest = max(map(len, world.tokens))
    padded = world.vectors([[0] * (longest - len(row)) + row for row in world.tokens], last)
    numbers = list(padded.swapaxes(0, 1)[:5])
    if kept == "bfloat16":
        numbers = [torch.from_numpy(layer).bfloat16().view(torch.int16).numpy().view(np.uint16) for layer in numbers]
    given: dict[str, Any] = {} if kept == "float32" else {"dtype": kept}
    store = world.stored(
        f"padded-{kept}", numbers, **given
    )  # in half precision few rows may lie too near to what is right
    found = said(examine(Subject.of(store, str(MODEL), world.rows), sample=32))
    assert found[0] == ""  # an embedding sees no padding
    assert all(words.startswith("left padding is read: the last token of row 'r") for words in found[1:]), found
    assert all(words.endswith("on the left, not masked") for words in found[1:])


def test_a_mark_is_held_against_the_numbers(world: Reference, right: Numbers) -> None:
    normed = list(right.swapaxes(0, 1)[[0, 1, 2, 3, 5]])
    assert world.examined(world.stored("normed", normed, last_entry="post-norm")).ok
    found = world.examined(world.stored("unnormed", list(right.swapaxes(0, 1)[:5]), last_entry="post-norm"))
    assert said(found)[4] == "before the model's final norm, and said to be after it"


def test_a_store_of_our_own_is_read_as_it_was_extracted(world: Reference, tmp_path: Path) -> None:
    for position, dtype in (("mean", "bfloat16"), ("all", "float32")):
        plan = Extraction.plan(
            str(MODEL), world.rows, position=position, dtype=dtype, max_length=14, truncation="left", layers="0,3,4"
        )
        store = extract(plan, tmp_path / position)
        found = world.examined(store)
        assert found.ok, said(found)
        assert not found.remarks
    with pytest.raises(InputError, match="says itself how it was extracted"):
        Subject.of(store, str(MODEL), world.rows, dtype="float16")
    changed = world.rows.assign(text=world.rows["text"].where(world.rows["id"] != "r0", "calm calm"))
    found = examine(Subject.of(store, str(MODEL), changed), sample=SAMPLE)
    assert "was made from other texts" in found.remarks[0]
    assert found.faults[0].startswith("row 'r0' has ")
    assert "1 of " in said(found)[1]


def test_another_width_and_missing_rows_are_said_at_once(world: Reference, right: Numbers) -> None:
    found = world.examined(world.stored("narrow", [right[:, layer, :32] for layer in range(5)]))
    assert said(found)[0] == f"another model: its vectors have 32 numbers, those of {MODEL} 64"
    store = world.stored("whole", list(right.swapaxes(0, 1)[:5]))
    with pytest.raises(InputError, match="39 of its 40 rows are not among those given"):
        Subject.of(store, str(MODEL), world.rows[:1])


def test_the_command_says_it_in_a_table_in_json_and_by_its_exit_code(
    world: Reference, right: Numbers, w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    from w2s_probes.cli import main

    world.stored("good", list(right.swapaxes(0, 1)[:5]), position="unknown")
    world.stored("bad", [right[:, 1], *right.swapaxes(0, 1)[1:5]])
    asked = ["--model", str(MODEL), "--rows", str(world.folder / "rows.jsonl"), "--sample", "6"]
    w2s("doctor", world.folder / "good", *asked, "--position", "last")
    said_of_good = capsys.readouterr().out
    assert said_of_good.count(" ok ") == 5
    assert "of 40 rows were read: a fault of at least 17 rows (42 %), wherever they stand" in said_of_good
    assert "5 layers are those of" in said_of_good
    with pytest.raises(SystemExit) as ended:
        main(["doctor", str(world.folder / "bad"), *asked, "--layers", "0,1", "--json"])
    assert ended.value.code == 1
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert (answer["ok"], answer["least_found"], [layer["layer"] for layer in answer["layers"]]) == (False, 17, [0, 1])
    assert answer["layers"][0]["faults"] == ["holds layer 1"]
    assert (answer["layers"][0]["holds_layer"], answer["layers"][1]["ok"]) == (1, True)
    assert "bad does not hold what it says: layer 0 holds layer 1" in " ".join(captured.err.split())
    assert Manifest.read(world.folder / "bad").notes.keys() == Manifest.read(world.folder / "good").notes.keys()
    for wrong, expected in [
        (["--position", "first"], "says that its position is last"),
        (["--store", str(world.folder / "good")], "leave out --store"),
        (["--layers", "9"], "outside"),
    ]:
        assert expected in run_failing("doctor", world.folder / "bad", *asked, *wrong)
    assert "is a store: give the --model" in run_failing("doctor", world.folder / "bad")


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_encoders_and_models_without_a_final_norm_are_passed(
    family: str, checkpoint: Callable[..., Path], rows: pd.DataFrame, tmp_path: Path
) -> None:
    folder = str(checkpoint(family))
    store = extract(Extraction.plan(folder, rows, position="last"), tmp_path / "acts")
    found = examine(Subject.of(store, folder, rows), sample=SAMPLE)
    assert found.ok, said(found)
