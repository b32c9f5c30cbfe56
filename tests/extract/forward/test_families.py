"""The reader on many architectures without a line for any of them: padded on either side against single rows."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

import pytest
import torch
import transformers as hf
from torch import Tensor, nn

from extract.forward.trace import ActivationReader, Position, hidden
from w2s_probes.checkpoints.batches import padded
from w2s_probes.checkpoints.blocks import find_blocks, trunk_of
from w2s_probes.errors import InputError

DEPTH = 3
WINDOW = 4  # of tokens that a layer with local attention looks back; most rows are longer
LENGTHS = (3, 12, 1, 7, 12)
NARROW: dict[str, Any] = {"vocab_size": 44, "hidden_size": 32, "pad_token_id": 0, "num_attention_heads": 4}
USUAL = NARROW | {"intermediate_size": 48, "num_hidden_layers": DEPTH, "max_position_embeddings": 70}
GROUPED = USUAL | {"num_key_value_heads": 2}
LOCAL = GROUPED | {"sliding_window": WINDOW}
MIXED = {"head_dim": 8, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2}
PAIR: dict[str, Any] = {
    **{
        "vocab_size": 44,
        "d_model": 32,
        "encoder_layers": DEPTH,
        "decoder_layers": DEPTH,
        "max_position_embeddings": 70,
    },
    **{"encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48},
}
# As in microsoft/deberta-v3-base, but for sizes; rows are longer than the exact part of the buckets.
DEBERTA_V3 = {
    **{"relative_attention": True, "position_buckets": 4, "max_relative_positions": -1, "share_att_key": True},
    **{"norm_rel_ebd": "layer_norm", "position_biased_input": False, "pos_att_type": ["p2c", "c2p"]},
    **{"type_vocab_size": 0, "layer_norm_eps": 1e-7},
}
MODERN = {
    **{"local_attention": WINDOW, "global_attn_every_n_layers": 2},
    **{"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
}

# By the name of the config's class and, in brackets, what is special: where the blocks are, and its settings.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("layers", GROUPED),
    "Mistral": ("layers", LOCAL),
    "Qwen2": ("layers", GROUPED),
    "Qwen3": ("layers", GROUPED | {"head_dim": 8}),
    "Gemma2": ("layers", LOCAL | MIXED),
    "Gemma3Text": ("layers", LOCAL | MIXED),
    "Phi3": ("layers", LOCAL),
    "Mixtral": ("layers", LOCAL | {"num_local_experts": 4}),
    "Qwen2Moe": ("layers", GROUPED | EXPERTS | {"moe_intermediate_size": 16, "shared_expert_intermediate_size": 16}),
    "Olmoe": ("layers", GROUPED | EXPERTS),
    "GPT2": ("h", {"vocab_size": 44, "n_embd": 32, "n_layer": 3, "n_head": 4, "bos_token_id": 2, "eos_token_id": 3}),
    "OpenAIGPT": ("h", {"vocab_size": 44, "n_embd": 32, "n_layer": 3, "n_head": 4}),  # its blocks return lists
    "GPTNeoX": ("layers", USUAL),
    "OPT": ("decoder.layers", USUAL | {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    "Falcon": ("h", USUAL | {"ffn_hidden_size": 48}),
    "Falcon (alibi)": ("h", USUAL | {"ffn_hidden_size": 48, "alibi": True}),
    "Mpt": ("blocks", {"d_model": 32, "n_heads": 4, "n_layers": 3, "vocab_size": 44, "max_seq_len": 64}),
    "Bloom": ("h", {"vocab_size": 44, "hidden_size": 32, "n_layer": 3, "n_head": 4}),
    "Bert": ("encoder.layer", USUAL),
    "Roberta": ("encoder.layer", USUAL | {"pad_token_id": 1}),
    "Electra": ("encoder.layer", USUAL | {"embedding_size": 16}),
    "ModernBert": ("layers", USUAL | MODERN),
    "DebertaV2": ("encoder.layer", USUAL | DEBERTA_V3),
    "DistilBert": (
        "transformer.layer",
        {"vocab_size": 44, "dim": 32, "hidden_dim": 48, "n_layers": 3, "n_heads": 4, "pad_token_id": 0},
    ),
    "T5": ("block", {**NARROW, "d_kv": 8, "d_ff": 48, "num_layers": DEPTH, "num_decoder_layers": DEPTH}),
    "T5Gemma": (
        "layers",
        {"vocab_size": 44, "encoder": LOCAL | MIXED, "decoder": LOCAL | {"head_dim": 8, "num_hidden_layers": 2}},
    ),
    "Bart": ("layers", PAIR),
}
WINDOWED = {
    **dict.fromkeys(["Mistral", "Gemma2", "Gemma3Text", "Phi3", "Mixtral"], "sliding_window"),
    "ModernBert": "local_attention",
}
CASES = [(family, side) for family in FAMILIES for side in ("right", "left")]


@dataclass(frozen=True)
class Example:
    """A family's tiny random model, with every row's states as they are when it stands alone."""

    trunk: nn.Module
    path: str
    rows: list[list[int]]
    hooked: list[list[Tensor]]  # what plain hooks see: a row's states (tokens, width) going into and out of blocks
    reported: list[list[Tensor]]  # the same by `output_hidden_states`, whose last may be after a final norm

    def batch(self, side: str) -> tuple[Tensor, Tensor]:
        """Filled up with token 0, which is not every family's own token for padding."""
        return padded(self.rows, pad=0, left=side == "left")

    def read(self, ids: Tensor, mask: Tensor, position: Position) -> dict[int, Tensor]:
        return ActivationReader(self.trunk, self.path).read(ids, mask, range(DEPTH + 1), position)

    def compare(self, found: dict[int, Tensor], rows: list[int], position: Position) -> None:
        """Raises AssertionError unless the vectors of the rows are those of each alone."""
        for layer in range(DEPTH + 1):
            for source in (self.hooked, self.reported if layer < DEPTH else self.hooked):
                expected = torch.cat([pooled(source[row][layer], position) for row in rows])
                torch.testing.assert_close(found[layer], expected, atol=1e-5, rtol=1e-5)


def pooled(states: Tensor, position: Position) -> Tensor:
    """What is to be read from one row's states, (1, width) or (tokens, width)."""
    by_hand = {"last": states[-1:], "first": states[:1], "mean": states.mean(dim=0, keepdim=True), "all": states}
    return by_hand[position]


def whole_model(family: str, **changes: Any) -> Any:
    config = getattr(hf, f"{family.split()[0]}Config")(**FAMILIES[family][1] | changes)
    torch.manual_seed(0)
    return hf.AutoModel.from_config(config).eval()


def alone(trunk: nn.Module, path: str, row: list[int]) -> tuple[list[Tensor], list[Tensor]]:
    """One row without padding, mask and position ids left to transformers: its states by hooks, and as reported."""
    blocks, seen = list(trunk.get_submodule(path).children()), []

    def going_in(_: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Any]) -> None:
        seen.append(args[0] if args else kwargs["hidden_states"])

    hooks = [blocks[0].register_forward_pre_hook(going_in, with_kwargs=True)]
    hooks += [block.register_forward_hook(lambda _m, _a, out: seen.append(hidden(out))) for block in blocks]
    with torch.no_grad():
        reported = trunk(input_ids=torch.tensor([row]), output_hidden_states=True).hidden_states
    for hook in hooks:
        hook.remove()
    return [states[0] for states in seen], [states[0] for states in reported]


@cache
def example(family: str) -> Example:
    model = whole_model(family)
    trunk = trunk_of(model)
    for config in (model.config, getattr(trunk, "config", model.config)):
        config.use_cache = False
    path = find_blocks(trunk, model.config)
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(5, 44, (n,), generator=generator).tolist() for n in LENGTHS]
    hooked, reported = zip(*(alone(trunk, path, row) for row in rows), strict=True)
    return Example(trunk, path, rows, list(hooked), list(reported))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_blocks_are_found_in_the_model_and_in_its_trunk(family: str) -> None:
    model = whole_model(family)
    assert find_blocks(model, model.config) == find_blocks(trunk_of(model), model.config) == FAMILIES[family][0]
    assert trunk_of(trunk_of(model)) is trunk_of(model)


@pytest.mark.parametrize(("family", "side"), CASES)
def test_rows_in_a_batch_are_read_as_if_alone(family: str, side: str) -> None:
    own = example(family)
    ids, mask = own.batch(side)
    for position in get_args(Position):
        own.compare(own.read(ids, mask, position), list(range(len(own.rows))), position)


@pytest.mark.parametrize(("family", "side"), CASES)
def test_a_row_in_a_batch_of_its_own_is_read_as_if_without_padding(family: str, side: str) -> None:
    own = example(family)
    ids, mask = own.batch(side)
    for row in range(len(own.rows)):
        own.compare(own.read(ids[row : row + 1], mask[row : row + 1], "last"), [row], "last")


def last_column(states: Tensor, mask: Tensor, position: Position) -> Tensor:
    return states[:, -1]


def as_it_comes(input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
    return input_ids, attention_mask


@pytest.mark.parametrize(
    ("family", "side", "name", "fault"),
    [
        ("Llama", "right", "pool", last_column),
        ("T5", "right", "pool", last_column),
        ("GPT2", "left", "padding_moved_right", as_it_comes),
        ("Bert", "left", "padding_moved_right", as_it_comes),
        ("Bart", "left", "padding_moved_right", as_it_comes),
    ],
)
def test_the_comparison_sees_planted_faults(
    monkeypatch: pytest.MonkeyPatch, family: str, side: str, name: str, fault: Callable[..., Any]
) -> None:
    own, everyone = example(family), list(range(len(LENGTHS)))
    own.compare(own.read(*own.batch(side), "last"), everyone, "last")
    monkeypatch.setattr(f"extract.forward.trace.{name}", fault)
    with pytest.raises(AssertionError, match="not close"):
        own.compare(own.read(*own.batch(side), "last"), everyone, "last")


@pytest.mark.parametrize("family", WINDOWED)
def test_rows_are_longer_than_the_window_of_local_attention(family: str) -> None:
    own, wide = example(family), whole_model(family, **{WINDOWED[family]: 64})
    longest = LENGTHS.index(max(LENGTHS))
    seen, _ = alone(wide, own.path, own.rows[longest])  # the same weights
    torch.testing.assert_close(seen[0], own.hooked[longest][0])
    assert not torch.allclose(seen[-1], own.hooked[longest][-1], atol=1e-3)


def test_blocks_of_an_encoder_decoder_can_be_named_but_not_the_decoders() -> None:
    model = whole_model("T5", num_decoder_layers=2)
    assert find_blocks(model, model.config, "block.0.layer") == "block.0.layer"
    with pytest.raises(InputError, match=r"no list of blocks at 'decoder.block'; T5Stack, .* has block \(3\)$"):
        find_blocks(model, model.config, "decoder.block")


def test_an_encoder_that_reads_no_text_is_refused() -> None:
    config = hf.WhisperConfig(**PAIR, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3)
    with pytest.raises(InputError, match="WhisperModel reads no text: its WhisperEncoder takes no token ids"):
        trunk_of(hf.AutoModel.from_config(config))
