"""What attention and MLP add to the stream, in every family: what is found, beside hooks on modules named by hand."""

from typing import Any, get_args

import pytest
import torch
import transformers as hf
from torch import Tensor, nn

from extract.forward.block_parts import block_parts, parts_read
from extract.forward.logit_lens import LogitReader
from extract.forward.trace import PartReader, Position, hidden
from tests.extract.forward.test_families import (
    DEPTH,
    FAMILIES,
    GROUPED,
    LENGTHS,
    USUAL,
    Example,
    example,
    pooled,
)
from w2s_probes.checkpoints.batches import padded
from w2s_probes.checkpoints.blocks import block_path_in, find_blocks
from w2s_probes.errors import InputError

LAYERS = range(1, DEPTH + 1)
CPU = torch.device("cpu")
# The modules whose outputs are added to the stream, by the families' own code in transformers; None: it norms the sum.
USUAL_PARTS = ("self_attn", "mlp")
AFTER_NORMS = ("post_attention_layernorm", "post_feedforward_layernorm")
PARTS: dict[str, tuple[str, str] | None] = {
    **dict.fromkeys(["Llama", "Mistral", "Qwen2", "Qwen3", "Phi3", "Mixtral", "Qwen2Moe", "Olmoe"], USUAL_PARTS),
    **dict.fromkeys(["Gemma2", "Gemma3Text"], AFTER_NORMS),
    "T5Gemma": ("post_self_attn_layernorm", "post_feedforward_layernorm"),
    "GPT2": ("attn", "mlp"),
    "GPTNeoX": ("attention", "mlp"),
    "OPT": ("self_attn", "fc2"),
    "Falcon": ("self_attention", "mlp"),
    "Falcon (alibi)": ("self_attention", "mlp"),
    "Mpt": ("attn", "ffn.down_proj"),
    "Bloom": ("self_attention.dense", "mlp.dense_4h_to_h"),
    "ModernBert": ("attn", "mlp"),
    "T5": ("layer.0.SelfAttention", "layer.1.DenseReluDense"),
    **dict.fromkeys(["OpenAIGPT", "Bert", "Roberta", "Electra", "DebertaV2", "DistilBert", "Bart"], None),
}
MORE: dict[str, dict[str, Any]] = {  # of other kinds, found or refused by name
    "Cohere": GROUPED | {"logit_scale": 0.1},  # parallel, and its logits are scaled
    "Olmo2": GROUPED,  # norms each part after it
    "Granite": GROUPED | {"residual_multiplier": 0.3},
    "Mamba": {"vocab_size": 44, "hidden_size": 32, "num_hidden_layers": DEPTH, "state_size": 4},
    "Jamba": GROUPED | {"attn_layer_offset": 1, "attn_layer_period": 3, "use_mamba_kernels": False, "num_experts": 1},
}


def by_hooks(own: Example, row: list[int], parts: tuple[str, str]) -> list[tuple[Tensor, Tensor]]:
    """What the two modules of each block hand on, for one row without padding: (tokens, width) each."""
    seen: dict[tuple[int, int], Tensor] = {}
    hooks = []
    for layer, block in enumerate(own.trunk.get_submodule(own.path).children(), start=1):
        for which, path in enumerate(parts):

            def keep(_m: nn.Module, _a: Any, output: Any, key: tuple[int, int] = (layer, which)) -> None:
                seen[key] = hidden(output).detach().reshape(len(row), -1).clone()

            hooks.append(block.get_submodule(path).register_forward_hook(keep))
    with torch.no_grad():
        own.trunk(input_ids=torch.tensor([row]))
    for hook in hooks:
        hook.remove()
    return [(seen[layer, 0], seen[layer, 1]) for layer in LAYERS]


def test_every_family_of_the_tests_is_named_here() -> None:
    assert PARTS.keys() == FAMILIES.keys()


@pytest.mark.parametrize("family", [family for family in FAMILIES if PARTS[family]])
def test_parts_are_those_of_hooks_and_add_up_to_the_stream(family: str) -> None:
    own, parts = example(family), PARTS[family]
    assert parts is not None
    alone = [by_hooks(own, row, parts) for row in own.rows]
    for states, added in zip(own.hooked, alone, strict=True):
        for layer in LAYERS:
            torch.testing.assert_close(states[layer - 1] + sum(added[layer - 1]), states[layer], atol=1e-6, rtol=1e-6)
    for which, site in enumerate(("attention", "mlp")):
        reader = PartReader(own.trunk, own.path)
        reader.parts = parts_read(own.trunk, own.path, site, LAYERS, own.rows[1], CPU)
        every, some = reader.read(*own.batch("right"), LAYERS, "all"), reader.read(*own.batch("left"), [2], "last")
        for layer in LAYERS:
            expected = torch.cat([added[layer - 1][which] for added in alone])
            torch.testing.assert_close(every[layer], expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(some[2], torch.stack([added[1][which][-1] for added in alone]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", [family for family in FAMILIES if not PARTS[family]])
def test_a_family_that_norms_the_sum_is_refused_by_block(family: str) -> None:
    own = example(family)
    with pytest.raises(InputError, match=rf"block 1 of {own.path}: what it adds to its input is not"):
        block_parts(own.trunk, own.path, [2], own.rows[1], CPU)


@pytest.mark.parametrize(("dtype", "family"), [("bfloat16", "GPT2"), ("float16", "Qwen2Moe"), ("bfloat16", "Gemma2")])
def test_parts_are_told_in_half_precision_and_on_the_shortest_row(dtype: str, family: str) -> None:
    torch.manual_seed(0)
    config = getattr(hf, f"{family}Config")(
        **FAMILIES[family][1]
    )  # with its cache on, as parts of larger models have it
    model = hf.AutoModel.from_config(config).eval().to(getattr(torch, dtype))
    found = block_parts(model, find_blocks(model, config), LAYERS, [7], CPU)
    assert [(one["attention"], one["mlp"]) for one in found.values()] == [PARTS[family]] * DEPTH


def test_other_kinds_of_blocks_are_read_or_refused_by_name() -> None:
    said = {}
    for family, settings in MORE.items():
        torch.manual_seed(0)
        config = getattr(hf, f"{family}Config")(**settings, use_cache=False)
        model = hf.AutoModel.from_config(config).eval()
        path = find_blocks(model, config)
        try:
            read = [parts_read(model, path, site, LAYERS, [5, 9, 7, 8], CPU) for site in ("attention", "mlp")]
            said[family] = " ".join(one[2] for one in read)
        except InputError as error:
            said[family] = str(error)
    assert said["Cohere"] == "self_attn mlp"
    assert said["Olmo2"] == " ".join(AFTER_NORMS)
    assert "GraniteModel: block 0 of layers: what it adds to its input is not" in said["Granite"]
    assert "MambaModel: block 0 of layers has no attention" in said["Mamba"]
    assert said["Jamba"] == "JambaModel: block 0 of layers has no attention: leave --site out, or layer 1"


def lens_by_hand(family: str, model: Any, states: Tensor) -> Tensor:
    """Logits (n, vocabulary) of states, by the names that the family's code gives to what follows its blocks."""
    if family == "GPT2":
        logits = model.lm_head(model.transformer.ln_f(states))
    elif family == "OPT":
        logits = model.lm_head(model.model.decoder.final_layer_norm(states))
    else:
        logits = model.lm_head(model.model.norm(states))
    if family == "Gemma2":
        logits = 30 * torch.tanh(logits / 30)
    found: Tensor = logits * model.config.logit_scale if family == "Cohere" else logits
    return found


@pytest.mark.parametrize("family", ["Llama", "GPT2", "OPT", "Gemma2", "Cohere"])
def test_logits_are_the_models_own_and_before_the_last_layer_those_of_its_head(family: str) -> None:
    settings = MORE[family] if family in MORE else FAMILIES[family][1]
    config = getattr(hf, f"{family}Config")(**settings, use_cache=False)
    torch.manual_seed(0)
    model = hf.AutoModelForCausalLM.from_config(config).eval()
    path = block_path_in(model, find_blocks(hf.AutoModel.from_config(config), config))
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(5, 44, (n,), generator=generator).tolist() for n in LENGTHS]
    reader = LogitReader(model, path, [9, 4, 31])
    seen: dict[int, list[Tensor]] = {}
    blocks = list(model.get_submodule(path).children())
    before = [vars(block).get("forward") for block in blocks]
    reader.check(rows[1])
    hooks = [blocks[0].register_forward_pre_hook(lambda _m, args: seen.setdefault(0, []).append(args[0][0]))]
    for layer, block in enumerate(blocks, start=1):

        def keep(_m: nn.Module, _a: Any, output: Any, layer: int = layer) -> None:
            seen.setdefault(layer, []).append(hidden(output)[0])

        hooks.append(block.register_forward_hook(keep))
    with torch.no_grad():
        own = [model(input_ids=torch.tensor([row])).logits[0] for row in rows]
    for hook in hooks:
        hook.remove()
    for position in get_args(Position):
        found = reader.read(*padded(rows, pad=0, left=True), [0, 1, DEPTH], position)
        for layer, logits in found.items():
            by_hand = [lens_by_hand(family, model, states) for states in seen[layer]]
            expected = torch.cat([pooled(each[:, [9, 4, 31]], position) for each in by_hand]).detach()
            torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
        expected = torch.cat([pooled(each[:, [9, 4, 31]], position) for each in own])
        torch.testing.assert_close(found[DEPTH], expected, atol=1e-5, rtol=1e-5)
    assert [vars(block).get("forward") for block in blocks] == before  # put back as they were


def test_a_model_that_changes_its_input_after_its_blocks_has_no_logits_of_layers() -> None:
    torch.manual_seed(0)
    model = hf.LlamaForCausalLM(hf.LlamaConfig(**USUAL, use_cache=False)).eval()
    own_forward = model.forward

    def looking_back(input_ids: Tensor, **options: Any) -> Any:
        found = own_forward(input_ids, **options)
        found.logits = found.logits + 100 * model.model.embed_tokens(input_ids).mean(dim=-1, keepdim=True)
        return found

    model.forward = looking_back
    said = (
        r"LlamaForCausalLM: what it does after its last block cannot be run by itself \(its logits come out different"
    )
    with pytest.raises(InputError, match=said):
        LogitReader(model, "model.layers", [1]).check([5, 6, 7])
