"""Where a model keeps its blocks: the list of layers whose outputs are the residual stream."""

import inspect
from typing import Any

from torch import nn

from w2s_probes.errors import InputError


def trunk_of(model: nn.Module) -> nn.Module:
    """The part of a transformers model that is run: of an encoder-decoder the encoder, else the model itself.

    The encoder is what reads the text; the decoder would need an answer to begin with. The trunk of a trunk is
    itself. InputError for an encoder that reads no text.
    """
    if not getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return model
    encoder: nn.Module = model.get_encoder()  # type: ignore[operator]  # every transformers model has it
    if "input_ids" not in inspect.signature(encoder.forward).parameters:
        raise InputError(f"{type(model).__name__} reads no text: its {type(encoder).__name__} takes no token ids")
    return encoder


def find_blocks(model: nn.Module, config: Any, blocks: str | None = None) -> str:
    """The path of the list of blocks in the model's trunk (see `trunk_of`), such as `layers` or `encoder.layer`.

    It is the one ModuleList as long as the config says the model is deep; of several, the one nearest to the
    root. `blocks` names it instead, as seen from the trunk. Of an encoder-decoder it is the encoder's; the
    decoder's are refused, since it is not run. InputError, with the candidates, where this does not decide.
    """
    trunk = trunk_of(model)
    lists = {name: len(m) for name, m in trunk.named_modules() if isinstance(m, nn.ModuleList)}
    config = getattr(trunk, "config", config)  # an encoder need not be as deep as its decoder
    if blocks is not None:
        if blocks not in lists:
            reader = type(trunk).__name__
            raise InputError(f"no list of blocks at {blocks!r}; {reader}, which reads the text, has {_listed(lists)}")
        return blocks
    depth = getattr(config.get_text_config(), "num_hidden_layers", None)
    fitting = {name: name.count(".") for name, length in lists.items() if length == depth}
    if not depth:
        raise InputError(f"{type(trunk).__name__} has no blocks: its config says num_hidden_layers = {depth}")
    nearest = [name for name, dots in fitting.items() if dots == min(fitting.values())]
    if len(nearest) != 1:
        raise InputError(
            f"cannot tell which modules are the {depth} blocks of {type(trunk).__name__}; name them with --blocks: "
            f"{_listed(lists)}"
        )
    return str(nearest[0])


def _listed(lists: dict[str, int]) -> str:
    """Those that are not inside another: a deep T5 has one in each block."""
    outer = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
    return ", ".join(f"{name} ({lists[name]})" for name in outer) or "no list of modules"
