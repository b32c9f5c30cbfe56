"""A model's weights on its devices, in the dtype and quantization of an extraction."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM, BitsAndBytesConfig
from transformers.quantizers.auto import AutoQuantizationConfig

from w2s_probes.checkpoints.blocks import trunk_of
from w2s_probes.checkpoints.files import has_weights
from w2s_probes.checkpoints.loading import refuse_two_way, usable
from w2s_probes.devices import own_gpu
from w2s_probes.errors import InputError, preview

from ..offload.offloading import Offload
from ..options import SPREAD
from .quantization import BITS, quantization_settings
from .source import ModelSource, auto_class

SPEAKERS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")  # ends of the names of models that have the head
SPEECHLESS = "no language-model head; classifiers cannot {verb}: name a causal model"


@dataclass(frozen=True)
class Placement:
    """The devices, attention and batches of a model; they change its numbers by rounding alone, and no store's key."""

    device_map: str | None = None  # a device, or `auto`, `balanced`, `sequential` for several; None: the first GPU
    attn: str | None = None  # eager, sdpa, flash_attention_2, ...; None: transformers' choice
    batch_tokens: int | None = None  # None: chosen by device
    offload: Offload | None = None  # of an extraction alone: the model is read block by block, never loaded whole


def default_device() -> torch.device:
    """This process's GPU, as torchrun or Slurm number them; the first one; or the processor."""
    if torch.cuda.is_available():
        gpu: torch.device = own_gpu()
        return gpu
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def load_trunk(source: ModelSource, dtype: str, placement: Placement, quantization: str | None = None) -> nn.Module:
    """The trunk (no language-model head; of an encoder-decoder the encoder), in evaluation mode, on its devices.

    Raises InputError where the device lacks the dtype, where a library that it needs is not installed, and where the
    checkpoint lacks weights that the activations depend on: transformers would fill them with random numbers.
    """
    model, absent = _loaded(source, auto_class(source.config), dtype, placement, quantization)
    trunk = trunk_of(model)
    prefix = next((f"{name}." for name, module in model.named_modules() if module is trunk and name), "")
    # Poolers are never run, nor is what lies outside the trunk.
    refuse_missing(source.name, [name for name in absent if "pooler" not in name and name.startswith(prefix)])
    for config in (model.config, getattr(trunk, "config", model.config)):
        config.use_cache = False  # else every forward pass also keeps keys and values for a next token
    return trunk.eval().requires_grad_(False)


def load_speaker(source: ModelSource, dtype: str, placement: Placement, quantization: str | None = None) -> nn.Module:
    """The whole causal model with its language-model head; InputError as above, and where it has no such head."""
    refuse_speechless(source)
    model, absent = _loaded(source, AutoModelForCausalLM, dtype, placement, quantization)
    refuse_missing(source.name, absent)
    if model.get_output_embeddings() is None:
        raise InputError(f"model {source.name}: {SPEECHLESS.format(verb='answer')}")
    model.config.get_text_config().use_cache = model.config.use_cache = False
    whole: nn.Module = model.eval().requires_grad_(False)
    return whole


def refuse_speechless(source: ModelSource, verb: str = "answer") -> None:
    """InputError for a checkpoint that was saved without a language-model head, or that fills in masked words.

    `verb` is what such a model cannot do.
    """
    named = [str(name) for name in getattr(source.config, "architectures", None) or []]
    speaks = any(name.endswith(SPEAKERS) for name in named)
    known = type(source.config) in MODEL_FOR_CAUSAL_LM_MAPPING or source.trust.remote_code
    if getattr(source.config, "is_encoder_decoder", False) or not speaks or not known:
        what = f" (it is a {named[0]})" if named else ""
        raise InputError(f"model {source.name}: {SPEECHLESS.format(verb=verb)}{what}")
    refuse_two_way(source.name, source.config)


def _loaded(
    source: ModelSource, auto: Any, dtype: str, placement: Placement, quantization: str | None
) -> tuple[Any, list[str]]:
    """A model by an auto class of transformers, and the names of the learned weights that the checkpoint lacks."""
    placed: Any = placement.device_map
    if placed not in SPREAD:
        device = usable_device(placed)
        refuse_lacking_dtype(device, dtype)
        placed = {"": device}
    options: dict[str, Any] = {"dtype": getattr(torch, dtype), "device_map": placed}
    if quantization is not None:
        options["quantization_config"] = quantization_config(quantization)
    if placement.attn is not None:
        options["attn_implementation"] = placement.attn
    with usable(source.name, "it cannot be loaded as asked for"):
        model, report = auto.from_pretrained(
            source.folder,
            use_safetensors=has_weights(source.folder),
            trust_remote_code=source.trust.remote_code,
            output_loading_info=True,
            **options,
        )
    # Buffers are computed, not learned.
    buffers = {name for name, buffer in model.named_buffers() if torch.isfinite(buffer.float()).all()}
    return model, sorted(set(report["missing_keys"]) - buffers)


def refuse_missing(model: str, missing: list[str]) -> None:
    """InputError where a checkpoint lacks weights."""
    if missing:
        raise InputError(
            f"model {model}: the weights do not fit the config, {len(missing)} are missing: {preview(missing)}"
        )


def quantization_config(named: str) -> Any:
    """transformers' configuration from `8bit`, `4bit`, or JSON with a `quant_method`; InputError for anything else."""
    settings = quantization_settings(named)
    try:
        return BitsAndBytesConfig(**settings) if named in BITS else AutoQuantizationConfig.from_dict(settings)
    except (ValueError, TypeError, KeyError, AttributeError, ImportError, AssertionError) as error:
        raise InputError(f"quantization {named[:60]!r}: {' '.join(str(error).split())[:200]}") from error


def usable_device(name: str | None) -> torch.device:
    """The device of this name, which is there and has memory; `default_device` where none is named."""
    if name is None:
        return default_device()
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # which a device without memory, such as meta, cannot do
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch was built without such devices
        reason = str(error).split(". ")[0].split("\n")[0][:120]
        raise InputError(f"device_map {name!r}: no such device here ({reason})") from error
    return device


def refuse_lacking_dtype(device: torch.device, dtype: str) -> None:
    """InputError unless the device can compute a block's operations in this dtype; tried before weights are read."""
    try:
        x = torch.ones(2, 8, dtype=getattr(torch, dtype), device=device)
        torch.nn.functional.layer_norm(torch.nn.functional.gelu(x @ x.T), (2,)).sum().item()
    except (RuntimeError, TypeError) as error:  # what backends raise for a dtype they lack; MPS a TypeError
        raise InputError(
            f"{device} cannot compute in {dtype} ({str(error).splitlines()[0][:100]}): choose another --dtype"
        ) from error
