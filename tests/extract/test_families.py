"""The reader on many architectures without a line for any of them: batched and padded against single rows."""

from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor, nn

from extract.batching import padded
from extract.blocks import find_blocks
from extract.trace import ActivationReader, hidden

USUAL: dict[str, Any] = {
    **{"vocab_size": 44, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3},
    **{"num_attention_heads": 4, "max_position_embeddings": 70, "pad_token_id": 0},
}
GROUPED = USUAL | {"num_key_value_heads": 2}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("layers", GROUPED),
    "Mistral": ("layers", GROUPED),
    "Qwen2": ("layers", GROUPED),
    "Qwen3": ("layers", GROUPED | {"head_dim": 8}),
    "Gemma2": ("layers", GROUPED | {"head_dim": 8}),
    "Gemma3Text": ("layers", GROUPED | {"head_dim": 8}),
    "Phi3": ("layers", GROUPED),
    "Mixtral": ("layers", GROUPED | {"num_local_experts": 4}),
    "GPT2": ("h", {"vocab_size": 44, "n_embd": 32, "n_layer": 3, "n_head": 4, "bos_token_id": 2, "eos_token_id": 3}),
    "GPTNeoX": ("layers", USUAL),
    "OPT": ("decoder.layers", USUAL | {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    "Falcon": ("h", {key: value for key, value in USUAL.items() if key != "intermediate_size"}),
    "Mpt": ("blocks", {"d_model": 32, "n_heads": 4, "n_layers": 3, "vocab_size": 44, "max_seq_len": 64}),
    "Bloom": ("h", {"vocab_size": 44, "hidden_size": 32, "n_layer": 3, "n_head": 4}),
    "Bert": ("encoder.layer", USUAL),
    "Roberta": ("encoder.layer", USUAL | {"pad_token_id": 1}),
    "Electra": ("encoder.layer", USUAL | {"embedding_size": 16}),
    "DebertaV2": ("encoder.layer", USUAL | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "ModernBert": (
        "layers",
        USUAL | {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    ),
    "DistilBert": (
        "transformer.layer",
        {"vocab_size": 44, "dim": 32, "hidden_dim": 48, "n_layers": 3, "n_heads": 4, "pad_token_id": 0},
    ),
}
LENGTHS = (3, 9, 1, 6, 9)


def single(model: nn.Module, block_path: str, row: list[int]) -> tuple[list[Tensor], list[Tensor]]:
    """The last token's states of one row alone: what plain hooks on the blocks see, and `output_hidden_states`."""
    seen: list[Tensor] = []
    blocks = list(model.get_submodule(block_path).children())
    hooks = [b.register_forward_hook(lambda _m, _a, out: seen.append(hidden(out)[0, -1])) for b in blocks]
    with torch.no_grad():
        mask = torch.ones(1, len(row), dtype=torch.long)
        states = model(input_ids=torch.tensor([row]), attention_mask=mask, output_hidden_states=True).hidden_states
    for hook in hooks:
        hook.remove()
    return seen, [state[0, -1] for state in states]


@pytest.mark.filterwarnings("default")  # the models' own
@pytest.mark.parametrize("family", CONFIGS)
def test_batched_states_equal_those_of_single_rows(family: str) -> None:
    expected_path, settings = CONFIGS[family]
    config = getattr(hf, f"{family}Config")(**settings)
    torch.manual_seed(0)
    model = hf.AutoModel.from_config(config).eval()
    model.config.use_cache = False
    path = find_blocks(model, config)
    assert path == expected_path
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(5, 44, (n,), generator=generator).tolist() for n in LENGTHS]
    found = ActivationReader(model, path).read(*padded(rows, pad=0), [0, 1, 2, 3], "last")
    for i, row in enumerate(rows):
        hooked, states = single(model, path, row)
        for layer in (1, 2, 3):
            torch.testing.assert_close(found[layer][i], hooked[layer - 1], atol=1e-5, rtol=1e-5)
        for layer in (0, 1, 2):  # the last of `hidden_states` is after the final norm where there is one
            torch.testing.assert_close(found[layer][i], states[layer], atol=1e-5, rtol=1e-5)
