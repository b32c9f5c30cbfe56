"""Frozen weights in four bits, beside adapters in float32: QLoRA (Dettmers et al. 2023), by bitsandbytes."""

from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, BitsAndBytesConfig

from .model_heads import find_head
from .settings import Quantized


def quantized(config: Any, how: Quantized | None, dtype: torch.dtype) -> dict[str, Any]:
    """The arguments that have a classifier of this config opened so; none where `how` is None.

    Normal floats of four bits, their scales quantised once more; products are computed in `dtype`. The head, which is
    trained in full, is left as it is.
    """
    if how is None:
        return {}
    with torch.device("meta"):
        head = find_head(AutoModelForSequenceClassification.from_config(config))
    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=how,
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_quant_storage=dtype,  # floats, as FSDP would want them
            llm_int8_skip_modules=head.modules,  # by its older name: of every kind
        )
    }


def keep_trainable(model: Any) -> None:
    """Have quantised layers compute by one way, which has gradients.

    On processors with bfloat16 products bitsandbytes packs a layer anew when it is first read without gradients, and
    from then on computes with less precision and gives its inputs no gradient, also in training.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
