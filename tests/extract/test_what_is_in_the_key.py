"""Same key, same numbers: everything that a tokenizer or a chat template reads is part of a store's key."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
import transformers as hf

from extract.adding import add
from extract.extractor import Extraction
from extract.forward.layout import refuse_other_layouts
from extract.models.checkpoints import vocabulary_files
from extract.models.source import ModelSource
from extract.repair import repair
from extract.templates import MARKER, Template, template_source
from tests.conftest import save_checkpoint, shard_file
from w2s_probes.checkpoints.files import deciding_files
from w2s_probes.errors import InputError

PLAIN = "{% for m in messages %}<s> {{ m['content'] }} </s>{% endfor %}"
PARTS = "{% for m in messages %}{% for part in m['content'] %}{{ part['text'] }} </s>{% endfor %}{% endfor %}"
NAMED_PARTS = (
    "{% for m in messages %}{% for part in m.content if part.type == 'text' %}{{ part.text }}{% endfor %}{% endfor %}"
)
LOUD = "{% for m in messages %}{{ m.content | upper }}{% endfor %}"
FAILING = {
    "zero": "{{ 1 // 0 }}",
    "range": "{% for i in range(10 ** 9) %}x{% endfor %}",
    "power": "{{ 'x' * (10 ** 30) }}",
    "recursion": "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "syntax": "{% for %}",
    "raised": "{{ raise_exception('only system messages') }}",
    "attribute": "{{ messages.nothing.at.all }}",
}


@pytest.fixture
def source(checkpoint: Callable[..., Path]) -> ModelSource:
    return ModelSource.find(str(checkpoint("llama")))


def table() -> pd.DataFrame:
    return pd.DataFrame({"id": ["a", "b", "c"], "text": ["w1 w2", "w3", "w4 w5 w6"]})


@pytest.mark.parametrize("jinja", [PLAIN, PARTS, NAMED_PARTS, LOUD], ids=["text", "parts", "named", "upper"])
def test_templates_that_read_text_or_parts_hold_every_text(source: ModelSource, jinja: str) -> None:
    template = Template.plan(source.tokenizer, jinja, "t.jinja")
    assert "unlike any other" in template.render(source.tokenizer, "unlike any other", "row").lower()
    assert template.parts == (jinja in (PARTS, NAMED_PARTS))


@pytest.mark.parametrize(
    "jinja",
    [
        "<s> hello </s>",
        "{{ messages | length }}",
        "{{ messages[0].content[:12] }}",
        "{% for m in messages if m.role == 'system' %}{{ m.content }}{% endfor %}",
    ],
)
def test_templates_that_leave_the_text_out_are_refused(source: ModelSource, jinja: str) -> None:
    with pytest.raises(InputError, match="the chat template leaves the text of a user's message out"):
        Template.plan(source.tokenizer, jinja, "t.jinja")


@pytest.mark.parametrize("name", FAILING)
def test_templates_that_fail_are_refused_in_one_line(
    source: ModelSource, tmp_path: Path, fails: Callable[..., str], name: str
) -> None:
    (tmp_path / "t.jinja").write_text(FAILING[name])
    table().to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    call = ("extract", source.folder, "--rows", tmp_path / "rows.jsonl", "--out", tmp_path / "acts")
    assert "chat template" in fails(*call, "--chat-template", tmp_path / "t.jinja")
    assert not (tmp_path / "acts").exists()


def test_a_template_that_says_another_day_makes_another_key_and_is_not_mixed_in(
    source: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = {"n": 1}
    monkeypatch.setattr(
        type(source.tokenizer),
        "apply_chat_template",
        lambda self, messages, **_: f"w{day['n']} {messages[0]['content']}",
    )
    (tmp_path / "t.jinja").write_text("{{ strftime_now('%d') }}")

    def plan(rows: pd.DataFrame) -> Extraction:
        return Extraction.plan(source, rows, chat_template=str(tmp_path / "t.jinja"))

    first = plan(table())
    store = first.run(tmp_path / "acts", notes={"model": str(source.folder)})
    assert store is not None
    assert plan(table()).key == first.key
    day["n"] = 2
    assert plan(table()).key != first.key
    with pytest.raises(InputError, match="rendering"):
        plan(table()).run(tmp_path / "acts")
    more = pd.concat([table(), pd.DataFrame({"id": ["d"], "text": ["w7"]})], ignore_index=True)
    with pytest.raises(InputError, match=r"cannot be added to .*rendering"):
        add(plan(more), tmp_path / "acts")
    shard_file(tmp_path / "acts").unlink()
    with pytest.raises(InputError, match=r"was made from something else .*rendering"):
        repair(tmp_path / "acts", model=str(source.folder), rows=table())
    with pytest.raises(InputError, match="renders the same text differently than at the beginning"):
        first.run(tmp_path / "other")  # planned before midnight, run after it


def test_own_templates_are_found_by_name(source: ModelSource) -> None:
    several = SimpleNamespace(chat_template={"default": "d", "rag": "r"})
    assert template_source(several, "m", "own") == "d"
    assert template_source(several, "m", "own:rag") == "r"
    with pytest.raises(InputError, match=r"model m: no chat template 'rga'; did you mean 'rag'"):
        template_source(several, "m", "own:rga")
    with pytest.raises(InputError, match="its tokenizer has no chat template"):
        template_source(source.tokenizer, "m", "own")


@pytest.mark.parametrize("name", ["bpe.codes", "vocab.bpe", "merges", "extra.dict", "chat_template.jinja"])
def test_any_file_that_a_tokenizer_may_read_is_in_the_key_and_prose_is_not(
    checkpoint: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    folder = Path(shutil.copytree(checkpoint("llama"), tmp_path / "m"))
    before = ModelSource.find(str(folder)).weights
    for prose in ("README.md", "LICENSE", "LICENSE.txt", ".gitattributes", "figure.png", "flax_model.msgpack"):
        (folder / prose).write_text("words")
    assert ModelSource.find(str(folder)).weights == before
    (folder / name).write_text("b c 1")
    after = ModelSource.find(str(folder)).weights
    assert after != before
    assert folder / name in list(deciding_files(folder))


def test_what_the_tokenizers_class_reads_by_name_is_fetched_from_the_hub(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PhobertTokenizer"}))
    assert "bpe.codes" in vocabulary_files(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[1")
    assert vocabulary_files(tmp_path) == []


def test_a_limit_below_the_special_tokens_is_refused(tmp_path: Path, source: ModelSource) -> None:
    class Wrapping:
        def __getattr__(self, name: str) -> Any:
            return getattr(source.tokenizer, name)

        def num_special_tokens_to_add(self, pair: bool = False) -> int:
            return 2

    wrapped = ModelSource.find(str(source.folder))
    vars(wrapped)["tokenizer"] = Wrapping()
    for limit in (1, 2):
        with pytest.raises(InputError, match=rf"max_length={limit} leaves no room for text beside the 2 tokens"):
            Extraction.plan(wrapped, table(), max_length=limit)
    assert Extraction.plan(wrapped, table(), max_length=3).encoding.max_length == 3


def test_files_that_say_more_than_is_read_are_remarked_on(tmp_path: Path, checkpoint: Callable[..., Path]) -> None:
    folder = Path(shutil.copytree(checkpoint("bert"), tmp_path / "m"))
    assert ModelSource.find(str(folder)).remarks == []
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))
    (folder / "adapter_config.json").write_text("{}")
    adapter, depth = ModelSource.find(str(folder)).remarks
    assert "adapter_config.json lies beside the weights" in adapter
    assert "its config says 2 blocks and its files hold 3: the first 2 are read" in depth


def test_an_encoder_saved_alone_is_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 4}
    model = hf.T5EncoderModel(hf.T5Config(vocab_size=44, **sizes)).eval()
    source = ModelSource.find(str(save_checkpoint(model, tmp_path / "t5")))
    store = Extraction.plan(source, table()).run(tmp_path / "acts")
    assert store is not None
    assert store.layers == [0, 1, 2, 3]
    ids = torch.tensor([source.tokenizer("w4 w5 w6")["input_ids"]])
    with torch.no_grad():
        expected = model(input_ids=ids, output_hidden_states=True).hidden_states[2][0, -1]
    torch.testing.assert_close(torch.from_numpy(store.layer(2, ids=["c"])[0].copy()), expected, rtol=1e-4, atol=1e-5)


def test_a_padding_id_beyond_the_table_is_no_obstacle(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    source = ModelSource.find(str(checkpoint("llama")))
    plain = Extraction.plan(source, table()).run(tmp_path / "plain")
    for pad in (44, 10**6, None):
        other = ModelSource.find(str(checkpoint("llama")))
        other.tokenizer.pad_token_id = pad
        assert 0 <= other.pad < 44
    assert plain is not None


class Blocks(torch.nn.Module):
    """A trunk whose blocks hand on what a function makes of (rows, tokens, width)."""

    def __init__(self, change: Callable[[torch.Tensor], Any], runs: tuple[int, ...] = (0, 1)) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(10, 8)
        self.blocks = torch.nn.ModuleList([torch.nn.Identity(), torch.nn.Identity()])
        self.change, self.runs = change, runs

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> None:
        states = self.change(self.table(input_ids))
        for number in self.runs:
            self.blocks[number](states)


@pytest.mark.parametrize(
    ("change", "runs", "message"),
    [
        (lambda x: x.transpose(0, 1), (0, 1), r"hands on \(3, 2, 8\), not hidden states"),
        (lambda x: torch.stack([x, x]), (0, 1), r"hands on \(2, 2, 3, 8\), not hidden states"),
        (lambda x: {"hidden": x}, (0, 1), r"hands on a dict, not hidden states"),
        (lambda x: x[..., :4], (0, 1), r"hands on \(2, 3, 4\), not hidden states"),
        (lambda x: x[:, :1], (0, 1), r"hands on \(2, 1, 8\), not hidden states"),
        (lambda x: x, (0, 0, 1), r"block 0 of blocks is run 2 times for one text"),
        (lambda x: x, (0,), r"block 1 of blocks is skipped"),
        (lambda x: x, (1, 0), r"are run in the order \[1, 0\]"),
    ],
    ids=["length first", "streams", "dict", "narrow", "pooled", "repeated", "skipped", "reversed"],
)
@pytest.mark.parametrize("length", [1, 2, 3])
def test_other_layouts_are_told_from_rows_tokens_width(
    change: Callable[[torch.Tensor], Any], runs: tuple[int, ...], message: str, length: int
) -> None:
    model = Blocks(change, runs)
    if length == 3:
        with pytest.raises(InputError, match=message):
            refuse_other_layouts(model, "blocks", 8, [0, 1, 2], [1, 2, 3], torch.device("cpu"))
    else:
        with pytest.raises(InputError):
            refuse_other_layouts(model, "blocks", 8, [0, 1, 2], [1, 2][:length], torch.device("cpu"))


def test_the_usual_layout_passes_also_where_rows_are_filled_up() -> None:
    for change in (lambda x: x, lambda x: torch.nn.functional.pad(x, (0, 0, 0, 5))):
        refuse_other_layouts(Blocks(change), "blocks", 8, [0, 1, 2], [1, 2], torch.device("cpu"))
    assert len(MARKER) > 60  # so that a template that shortens texts shows


def test_a_plan_refuses_a_layout_without_any_weights(tmp_path: Path, fails: Callable[..., str]) -> None:
    torch.manual_seed(0)
    xlnet = hf.XLNetModel(hf.XLNetConfig(vocab_size=44, d_model=32, n_layer=3, n_head=4, d_inner=48))
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48, "embedding_size": 16}
    albert = hf.AlbertModel(hf.AlbertConfig(vocab_size=44, num_hidden_layers=4, **sizes))
    table().to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    for model, options, expected in (
        (xlnet, (), "hands on (3, 2, 32), not hidden states (rows, tokens, width) = (2, 3, 32)"),
        (albert, ("--blocks", "encoder.albert_layer_groups"), "is run 4 times for one text"),
    ):
        folder = save_checkpoint(model, tmp_path / type(model).__name__)
        for file in folder.glob("*.safetensors"):
            file.unlink()
        assert expected in fails("plan", folder, "--rows", tmp_path / "rows.jsonl", *options)


def test_tokens_before_the_text_are_told_from_filling_after_it() -> None:
    class Prompted(Blocks):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> None:
            states = torch.cat([torch.zeros(len(input_ids), 4, 8), self.table(input_ids)], dim=1)
            for block in self.blocks:
                block(states)

    with pytest.raises(InputError, match="4 tokens before the text"):
        refuse_other_layouts(Prompted(lambda x: x), "blocks", 8, [0, 1, 2], [1, 2, 3], torch.device("cpu"))
