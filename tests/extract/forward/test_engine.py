"""The engine: every token, memory that runs out, texts that are too long, numbers that are not finite."""

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from extract.encoding import EncodedAhead, Encoding
from extract.extractor import Extraction, extract
from extract.forward.engine import CPU_TOKENS, GPU_TOKENS, Engine, affordable_tokens
from extract.models.loading import Placement
from extract.models.source import ModelSource
from w2s_probes import InputError
from w2s_probes.progress import RowsRead

Checkpoint = Callable[..., Path]


def test_a_tokenizer_of_another_model_is_refused(checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path) -> None:
    source = ModelSource.find(str(checkpoint()))
    source.__dict__["vocabulary"] = 20
    message = r"row 'row-\d+': the tokenizer of .* gives token \d+, and the model knows 20: tokenizer and weights"
    with pytest.raises(InputError, match=message):
        extract(Extraction.plan(source, rows), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_every_token_is_stored_with_its_offsets(checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path) -> None:
    folder = str(checkpoint("bert"))
    ragged = extract(
        Extraction.plan(folder, rows, position="all"), tmp_path / "all", placement=Placement(batch_tokens=50)
    )
    lengths = rows["text"].map(lambda text: len(text.split())).to_numpy()
    for layer in ragged.layers:
        found = ragged.tokens(layer)
        assert np.diff(found.offsets).tolist() == lengths.tolist()
        last = extract(Extraction.plan(folder, rows), tmp_path / "last").layer(layer)
        mean = extract(Extraction.plan(folder, rows, position="mean"), tmp_path / "mean").layer(layer)
        assert found.values[found.offsets[1:] - 1] == pytest.approx(last, abs=2e-5)
        sums = np.add.reduceat(found.values, found.offsets[:-1], axis=0)
        assert sums / lengths[:, None] == pytest.approx(mean, abs=2e-5)
    tokenizer = ModelSource.find(folder).tokenizer
    one = ragged.tokens(1, ids=["row-7"])
    assert one.token_ids.tolist() == tokenizer(rows["text"][7])["input_ids"]


class Small:
    """Stands before a model's trunk and runs out of memory above so many tokens."""

    def __init__(self, engine: Engine, most: int, message: str = "CUDA out of memory. Tried to allocate 2 GiB") -> None:
        self.seen: list[int] = []
        self.error = torch.OutOfMemoryError(message) if "CUDA" in message else RuntimeError(message)
        model: Any = engine.reader.model
        self.most = most
        model.get_submodule(engine._source.block_path)[1].register_forward_pre_hook(self.hook)

    def hook(self, module: Any, args: Any) -> None:
        size = args[0].shape[0] * args[0].shape[1]
        self.seen.append(size)
        if size > self.most:
            raise self.error


@pytest.mark.parametrize("message", ["CUDA out of memory", "DefaultCPUAllocator: can't allocate memory: 9 bytes"])
def test_a_batch_beyond_memory_is_halved_until_it_fits(
    checkpoint: Checkpoint, rows: pd.DataFrame, message: str
) -> None:
    plan = Extraction.plan(str(checkpoint()), rows)
    names = rows["id"].tolist()
    tokens = plan.encoding.encode(plan.source.tokenizer, names, rows["text"].tolist()).rows
    plain = plan.engine(Placement("cpu")).read(tokens, names)
    engine = plan.engine(Placement("cpu", batch_tokens=1000))
    small = Small(engine, 70, message)
    reported: list[int] = []
    found = engine.read(tokens, names, lambda rows, tokens: reported.append(rows))
    assert max(small.seen) > 70
    assert sum(reported) == 40
    assert engine.budget <= 70
    assert len([size for size in small.seen if size > 70]) <= 5  # halved a few times, not for every batch
    for layer, words in plain.items():
        assert found[layer] == pytest.approx(words, abs=2e-5)


def test_nothing_holds_on_to_the_tensors_of_a_batch_that_did_not_fit(
    checkpoint: Checkpoint, rows: pd.DataFrame
) -> None:
    plan = Extraction.plan(str(checkpoint()), rows)
    engine = plan.engine(Placement("cpu", batch_tokens=1000))
    model: Any = engine.reader.model
    held: list[Any] = []
    alive: list[int] = []

    def hook(module: Any, args: Any) -> None:
        alive.append(sum(reference() is not None for reference in held))  # on a card its memory would still be taken
        held[:] = [weakref.ref(args[0])]
        if args[0].shape[0] * args[0].shape[1] > 70:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    names = rows["id"].tolist()
    tokens = plan.encoding.encode(plan.source.tokenizer, names, rows["text"].tolist()).rows
    engine.read(tokens[:1], names[:1])  # the check of the layout comes first
    handle = model.get_submodule(engine._source.block_path)[1].register_forward_pre_hook(hook)
    engine.read(tokens, names)
    handle.remove()
    assert len(alive) > 5
    assert not any(alive)


def test_a_card_that_is_full_still_gets_batches(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ModelSource.find(str(checkpoint()))
    sizes = []
    for free in (0, 1, 10**9, 10**12):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 10**12))
        sizes.append(affordable_tokens(source, torch.device("cuda"), "float32", reserved=10**5))
    assert sizes[:2] == [CPU_TOKENS, CPU_TOKENS]
    assert sizes[2:] == sorted(sizes[2:])
    assert sizes[3] == GPU_TOKENS


def test_a_single_row_beyond_memory_is_named(checkpoint: Checkpoint, rows: pd.DataFrame) -> None:
    plan = Extraction.plan(str(checkpoint()), rows)
    engine = plan.engine(Placement("cpu"))
    Small(engine, 1)
    with pytest.raises(InputError, match=r"row 'long' with 3 tokens does not fit .* lower --max-length"):
        engine.read([np.array([5, 6, 7], np.int32)], ["long"])


def test_errors_of_the_model_are_not_taken_for_lack_of_memory(checkpoint: Checkpoint, rows: pd.DataFrame) -> None:
    engine = Extraction.plan(str(checkpoint()), rows).engine(Placement("cpu"))
    Small(engine, 1, "shapes do not match")
    with pytest.raises(InputError, match=r"cannot be run on token ids alone .*shapes do not match"):
        engine.read([np.array([5, 6, 7], np.int32)], ["row"])


LONG = pd.DataFrame({"id": ["fits", "long"], "text": ["w1 w2 w3", "w1 w2 w3 w4 w5"]})


def test_either_end_of_a_long_text_is_cut(checkpoint: Checkpoint, tmp_path: Path) -> None:
    source = ModelSource.find(str(checkpoint()))
    for side, kept in (("right", "w1 w2 w3"), ("left", "w3 w4 w5")):
        store = extract(Extraction.plan(source, LONG, max_length=3, truncation=side), tmp_path / side)
        short = extract(Extraction.plan(source, LONG.assign(text=["w1 w2 w3", kept])), tmp_path / f"{side} short")
        assert np.array_equal(store.layer(-1), short.layer(-1))
        assert (store.manifest.notes["cut_rows"], store.manifest.identity["truncation"]) == (1, side)


def test_a_text_beyond_the_window_is_refused_before_anything_is_computed(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ModelSource.find(str(checkpoint()))
    monkeypatch.setattr(Extraction, "engine", lambda *a: pytest.fail("the model was loaded"))
    with pytest.raises(InputError, match=r"row 'long' is longer than 4 tokens, and truncation is off: shorten"):
        extract(Extraction.plan(source, LONG, max_length=4, truncation="off"), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_the_tokenizer_runs_ahead_and_its_errors_come_early(checkpoint: Checkpoint) -> None:
    source = ModelSource.find(str(checkpoint()))
    rows = pd.DataFrame({"id": list("abc"), "text": ["w1", "w2", "w3 " * 70]})
    ahead = EncodedAhead(source, Encoding(64, "off", None), rows, {part: slice(part, part + 1) for part in range(3)})
    assert [row.tolist() for row in ahead.take(0).rows] == [[5]]
    with pytest.raises(InputError, match="row 'c' is longer than 64 tokens"):
        ahead.wait()
    with pytest.raises(InputError, match="row 'c'"):  # though part 1 is fine
        ahead.take(1)
    ahead.close()


TEMPLATE = "{% for m in messages %}w9 {{ m['content'] }} w9{% endfor %}{% if add_generation_prompt %} w8{% endif %}"


def test_a_chat_template_wraps_the_text_and_is_part_of_the_key(checkpoint: Checkpoint, tmp_path: Path) -> None:
    source = ModelSource.find(str(checkpoint()))
    with pytest.raises(InputError, match="its tokenizer has no chat template: give --chat-template FILE"):
        Extraction.plan(source, LONG, chat_template="own")
    with pytest.raises(InputError, match=r"nowhere.jinja: not a readable file"):
        Extraction.plan(source, LONG, chat_template=str(tmp_path / "nowhere.jinja"))
    (tmp_path / "t.jinja").write_text(TEMPLATE)
    wrapped = Extraction.plan(source, LONG, chat_template=str(tmp_path / "t.jinja"))
    assert wrapped.identity["template"] == TEMPLATE
    by_hand = LONG.assign(text="w9 " + LONG["text"] + " w9 w8")
    store = wrapped.run(tmp_path / "s")
    assert store is not None
    assert np.array_equal(store.layer(2), extract(Extraction.plan(source, by_hand), tmp_path / "hand").layer(2))
    (tmp_path / "t.jinja").write_text("{{ raise_exception('no system message') }}")
    with pytest.raises(InputError, match=r"t\.jinja: the chat template cannot be applied \(no system message\)"):
        Extraction.plan(source, LONG, chat_template=str(tmp_path / "t.jinja"))
    (tmp_path / "t.jinja").write_text("")
    with pytest.raises(InputError, match=r"t\.jinja: the chat template leaves the text of a user's message out"):
        Extraction.plan(source, LONG, chat_template=str(tmp_path / "t.jinja"))


def test_a_tokenizer_without_a_pad_token_pads_all_the_same(
    checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path
) -> None:
    source = ModelSource.find(str(checkpoint()))
    plain = extract(Extraction.plan(source, rows), tmp_path / "plain").layer(3)
    padless = ModelSource.find(str(checkpoint()))
    padless.tokenizer.pad_token = None
    assert padless.tokenizer.pad_token_id is None
    assert np.array_equal(extract(Extraction.plan(padless, rows), tmp_path / "padless").layer(3), plain)


def test_progress_counts_rows_and_tokens(checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path) -> None:
    seen: list[RowsRead] = []
    extract(
        Extraction.plan(str(checkpoint()), rows),
        tmp_path / "s",
        placement=Placement(batch_tokens=100),
        progress=seen.append,
    )
    tokens = int(rows["text"].map(lambda text: len(text.split())).sum())
    assert seen[-1] == RowsRead(40, 40, tokens, tokens)
    assert [done.rows for done in seen] == sorted(done.rows for done in seen)
    assert len(seen) > 3
