"""A tiny config of any model type: every field that is a size is made small, whatever the family calls it."""

import inspect
import re
import sys
from collections.abc import Mapping
from typing import Any

from transformers import CONFIG_MAPPING, MODEL_MAPPING

VOCABULARY = 128  # words have the ids 10 to 49; special tokens of the families are put outside of them
FIRST_WORD, LAST_WORD = 10, 49
HIDDEN, HEADS, GROUPS, HEAD, INNER, DEPTH, WINDOW = 32, 4, 2, 8, 48, 4, 8
POSITIONS = 160
INDEX_HEADS = 16  # many: where every head's score is below zero keys tie, and the order of ties hangs on the length

LAYERS = r"(num_hidden_layers|n_layers?|num_layers|num_(en|de)coder_layers|encoder_layers|decoder_layers|depth)"
# The first pattern that the whole name of a field matches says how large the field is.
SIZES: tuple[tuple[str, Any], ...] = (
    (r"(text_|src_|tgt_|decoder_|encoder_|)vocab_size(_per_layer_input)?|entity_vocab_size", VOCABULARY),
    (r"hidden_size_per_layer_input", 8),
    (LAYERS, DEPTH),
    (r"(num_attention_heads|n_heads?|num_heads|(en|de)coder_attention_heads|attention_heads)", HEADS),
    (r"(num_(en|de)coder_attention_heads|heads|swa_num_attention_heads)", HEADS),
    (r"(num_key_value_heads|num_kv_heads|n_head_kv|swa_num_key_value_heads)", GROUPS),
    (r"(head_dim|d_head|dim_head|d_kv|swa_head_dim|v_head_dim|qk_rope_head_dim|qk_nope_head_dim|rotary_dim)", HEAD),
    (r"qk_head_dim", 2 * HEAD),
    (r"(q|kv|o)_lora_rank", 16),
    (r"(hidden_size|d_model|n_embd|dim|emb_dim|embed_dim|hidden_dim|word_embed_proj_dim|embedding_size)", HIDDEN),
    (r"(output_embedding_size|input_embedding_size|lru_width|out_hidden_size)", HIDDEN),
    (r"(projection_dim|text_embed_dim|attention_head_size|index_hidden_size)", HIDDEN),
    (
        r"(.*intermediate_size|.*ffn_dim|n_inner|d_ff|dff|ffn_hidden_size|feed_forward_size|dim_ff|intermediate_dim)",
        INNER,
    ),
    (r"(moe_hidden_size|expert_ffn_hidden_size|intermediate_size_mlp|hidden_dim_mlp|moe_latent_size)", INNER),
    (r"(num_experts|num_local_experts|n_routed_experts|moe_num_experts)", 4),
    (r"(num_experts_per_tok|moe_topk|moe_k|top_k_experts|topk)", 2),
    (r"(n_group|topk_group|n_shared_experts|num_shared_experts|moe_num_shared_experts|zero_expert_num)", 1),
    (r"(sliding_window|sliding_window_size|attention_window_size|local_attention|attention_chunk_size)", WINDOW),
    (r"(window_size|chunk_size|mamba_chunk_size|local_attn_chunk_length|lsh_attn_chunk_length)", WINDOW),
    (r"(max_position_embeddings|n_positions|n_ctx|max_seq_len|context_length|max_.*position_embeddings)", POSITIONS),
    (r"(max_sequence_length|max_target_positions|max_source_positions|model_max_length)", POSITIONS),
    (r"(first_k_dense_replace|num_dense_layers)", 1),
    (r"index_(n_heads|num_heads)|indexer_n_heads", INDEX_HEADS),
    (r"index(er)?_head_dim", 2 * HEAD),
    (r"index(er)?_(topk|budget)", 6),
    (r"attention_window", WINDOW),
    (r"block_size", 4),
    (r"num_random_blocks", 1),
    (r"(image_size|img_size)", 32),
    (r"(patch_size)", 16),
)
TOKEN = re.compile(r"(.*_)?token_(id|index)|(bos|eos|pad|sep|unk|mask)_(id|index)|.*_(start|end|patch)_id")
NO_SIZES = {"id2label", "label2id", "dtype", "transformers_version", "num_labels"}
NONE_AT_FIRST = {"head_dim": HEAD, "num_key_value_heads": GROUPS}  # what the class leaves open and the model needs
SHALLOW = 2  # of what does not read text, so that the config's depth tells the text's blocks
OTHER_SENSES = re.compile(
    r"encoder_config|vision|audio|image|video|vq|codec|acoustic|semantic|flow|qformer|high_res|detr|geometry|mask|speech"
)

COMPASS_ROPE = {"full_attention": {"rope_type": "default", "rope_theta": 10000.0}}
DOTS3 = {
    **{"swa_num_attention_heads": 4, "swa_num_key_value_heads": 4, "swa_q_lora_rank": 16, "swa_kv_lora_rank": 16},
    **{"swa_head_dim": 16, "swa_qk_nope_head_dim": 8, "swa_v_head_dim": 8, "sliding_window": WINDOW},
}
QWEN4 = {
    **{"indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 8, "indexer_budget": 8},
    **{"indexer_compress_ratio": 2, "ngram_vocab_size_base": 64, "split_ngram_parts": 4},
}
# What no rule gets right, by model type, with the reason.
EXCEPTIONS: dict[str, dict[str, Any]] = {
    "bamba": {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "attn_layer_indices": [1, 3]},
    "granitemoehybrid": {
        **{"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8},
        "layer_types": ["mamba", "attention", "mamba", "attention"],
    },
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 2},
    "cohere_compass_text": {"rope_parameters": COMPASS_ROPE},
    "cohere_compass": {"text_config": {"rope_parameters": COMPASS_ROPE}},
    "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1, "max_window_layers": 2},
    "dots3_note_text": DOTS3,
    "dots3_note": {
        "text_config": DOTS3,
        "vision_config": {"adapter_in_dim": HIDDEN, "adapter_out_dim": HIDDEN},
        "audio_config": {"adapter_input_size": HIDDEN, "adapter_out_dim": HIDDEN},
    },
    "dbrx": {
        "attn_config": {"rope_theta": 10000.0, "kv_n_heads": 2, "clip_qkv": 8.0},
        "ffn_config": {"moe_num_experts": 4, "moe_top_k": 2},
    },
    "deepseek_v2": {"topk_method": "greedy", "num_experts_per_tok": 2},
    "falcon_h1": {"mamba_d_ssm": 64, "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 8},
    "t5gemma2_encoder": {"text_config": {"dropout_rate": 0.0}},
    "chameleon": {
        "vocabulary_map": {"<image>": 100},
        "vq_config": {"base_channels": 32, "latent_channels": 32, "embed_dim": 32, "num_embeddings": 64},
    },
    "emu3": {
        "vocabulary_map": {"<image>": 100},
        "vq_config": {"base_channels": 32, "latent_channels": 32, "embed_dim": 4},
    },
    "ernie4_5_vl_moe": {
        "text_config": {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5, "mrope_section": [1, 1, 2]}}
    },
    "layoutlmv3": {"coordinate_size": 6, "shape_size": 4},
    "lilt": {"hidden_size": 48},
    "mistral4": {"head_dim": 2 * HEAD},
    "step3p7": {"text_config": {"sliding_window": WINDOW}},
    **{f"{name}_thinker": {"vision_start_token_id": 100} for name in ("qwen2_5_omni", "qwen3_omni_moe")},
    "zamba": {"attention_hidden_size": 2 * HIDDEN, "attention_head_dim": 2 * HEAD},
    "zamba2": {"attention_hidden_size": 2 * HIDDEN, "attention_head_dim": 2 * HEAD, "n_mamba_heads": 8},
    "blt": {"encoder_hash_byte_group_vocab": 64},
    "csm": {"codec_config": {"upsample_groups": 1, "num_filters": 4}, "num_codebooks": 2},
    "esm": {"vocab_size": VOCABULARY, "pad_token_id": 1, "mask_token_id": 51},
    "funnel": {"architectures": ["FunnelModel"]},
    "gemma3n_text": {
        "num_kv_shared_layers": 2,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "intermediate_size": INNER,
        "activation_sparsity_pattern": [0.5, 0.0, 0.0, 0.0],
    },
    "glm5_next_text": {"index_kpool": 3},
    "glm5_next": {"text_config": {"index_kpool": 3}},
    "kimi_linear": {"linear_num_heads": 4, "linear_head_dim": 8},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "neomme": {"head_dim": 16, "sliding_window": WINDOW},
    "qwen4_exp_text": QWEN4,
    "qwen4_exp": {"text_config": QWEN4},
    "reformer": {
        **{"attn_layers": ["local", "lsh", "local", "lsh"], "axial_pos_shape": [8, 8], "axial_pos_embds_dim": [16, 16]},
        **{"attention_head_size": 8, "max_position_embeddings": 64, "num_buckets": 4},
    },
    "roc_bert": {"shape_vocab_size": VOCABULARY, "pronunciation_vocab_size": VOCABULARY},
}


def base_models(model_type: str) -> tuple[Any, ...]:
    """The classes that `AutoModel` makes of a type's config, if any."""
    found = MODEL_MAPPING.get(CONFIG_MAPPING[model_type], ()) if model_type in CONFIG_MAPPING else ()
    return found if isinstance(found, tuple) else (found,)


def tiny_config(model_type: str) -> Any:
    """A config of this type, small in every field."""
    config_class: Any = CONFIG_MAPPING[model_type]
    fields = tiny_fields(config_class, EXCEPTIONS.get(model_type, {}), DEPTH)
    usual = config_class()
    text = usual.get_text_config()
    modules = {model.__module__ for name in (model_type, text.model_type) for model in base_models(name)}
    if any("mrope_section" in inspect.getsource(sys.modules[module]) for module in modules):
        inner = fields if text is usual else fields["text_config"]
        rope = inner.get("rope_parameters") or getattr(text, "rope_parameters", None)
        rope = rope or {"rope_type": "default", "rope_theta": 10000.0}
        inner["rope_parameters"] = rope_in_sections(rope, inner.get("head_dim", HEAD))
    return config_class(**fields)


def rope_in_sections(rope: Mapping[str, Any], head: int) -> dict[str, Any]:
    """Rotary embeddings whose sections, of time, height and width, fit heads of this size."""
    pairs = int(head * rope.get("partial_rotary_factor", 1)) // 2
    section = [pairs - 2 * (pairs // 3), pairs // 3, pairs // 3]
    if all(isinstance(part, dict) for part in rope.values()):
        return {kind: rope_in_sections(part, head) for kind, part in rope.items()}
    fits = sum(rope.get("mrope_section", ())) == pairs
    return dict(rope) if fits else {**rope, "mrope_section": section}


def tiny_fields(config_class: Any, exceptions: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """Arguments of a config's class that make it small; configs inside it are dicts of such arguments."""
    usual = config_class()
    parts = set(getattr(config_class, "sub_configs", {}))
    usual_names = {own: name for name, own in getattr(config_class, "attribute_map", {}).items()}
    fields: dict[str, Any] = {}
    for name, value in vars(usual).items():
        if name.startswith("_") or name in NO_SIZES or (value is None and name in parts):
            continue
        if name in parts:
            shallow = SHALLOW if OTHER_SENSES.search(name) else depth
            fields[name] = tiny_fields(type(value), exceptions.get(name, {}), shallow)
            fields[name]["model_type"] = value.model_type
            continue
        sizes = (tiny_value(own, value, vars(usual), depth) for own in (name, usual_names.get(name, name)))
        if (small := next((size for size in sizes if size is not None), None)) is not None:
            fields[name] = small
    return fields | {name: value for name, value in exceptions.items() if name not in parts}


def tiny_value(name: str, value: Any, usual: Mapping[str, Any], depth: int) -> Any:
    """A small value for a field, None where its default stays."""
    if value is None:
        return NONE_AT_FIRST.get(name)
    if (
        isinstance(value, list | tuple)
        and value
        and len(value) == usual.get("num_hidden_layers", usual.get("num_layers")) != depth
    ):
        if isinstance(value[0], int) and not isinstance(value[0], bool) and (size := size_of(name, value[0], depth)):
            return [size] * depth
        kinds = list(dict.fromkeys(value)) if isinstance(value[0], str | int | float) else list(value)
        return [kinds[layer % len(kinds)] for layer in range(depth)]
    if TOKEN.fullmatch(name) and isinstance(value, list):
        return [token_id(name, own) for own in value]
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    if TOKEN.fullmatch(name):
        return token_id(name, value)
    if name == "num_key_value_heads" and value == usual.get("num_attention_heads"):
        return HEADS
    return size_of(name, value, depth)


def size_of(name: str, value: int, depth: int) -> int | None:
    """The small size of a field, None if it is no size or small already."""
    size = next((size for pattern, size in SIZES if re.fullmatch(pattern, name)), None)
    if size == DEPTH and re.fullmatch(LAYERS, name):
        return depth
    return size if size is not None and (value > size or size in (HEADS, HIDDEN)) else None


def token_id(name: str, value: int) -> int:
    """Ids below the words stay; others get one above them that hangs on the name."""
    if 0 <= value < FIRST_WORD or value < 0:
        return value
    return LAST_WORD + 1 + sum(map(ord, name)) % (VOCABULARY - LAST_WORD - 1)
