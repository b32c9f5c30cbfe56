"""Where a model keeps its blocks: the list of layers whose outputs are the residual stream."""

import inspect
from typing import Any

from torch import nn

from ..errors import InputError


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
    if blocks is not None:
        lists = _lists(trunk)
        if blocks not in lists:
            reader = type(trunk).__name__
            raise InputError(f"no list of blocks at {blocks!r}; {reader}, which reads the text, has {_listed(lists)}")
        return blocks
    depth = depth_of(getattr(trunk, "config", config))  # an encoder need not be as deep as its decoder
    nearest = block_lists(trunk, config)
    if not depth:
        raise InputError(f"{type(trunk).__name__} has no blocks: its config says num_hidden_layers = {depth}")
    if len(nearest) != 1:
        raise InputError(
            f"cannot tell which modules are the {depth} blocks of {type(trunk).__name__}; name them with --blocks: "
            f"{_listed(_lists(trunk))}"
        )
    return nearest[0]


def block_lists(model: nn.Module, config: Any) -> list[str]:
    """The paths of the ModuleLists that may be the blocks of the trunk, in the model's order.

    They are as long as the config says the model is deep, and of such lists the nearest to the root. Some models
    hold the parts of a block in lists of their own, XLM its attention and its MLPs; then there are several.
    """
    trunk = trunk_of(model)
    depth = depth_of(getattr(trunk, "config", config))
    fitting = {name: name.count(".") for name, length in _lists(trunk).items() if depth and length == depth}
    return [name for name, dots in fitting.items() if dots == min(fitting.values())]


def depth_of(config: Any) -> int | None:
    """The number of blocks that a config names."""
    depth: int | None = getattr(config.get_text_config(), "num_hidden_layers", None)
    return depth


def block_path_in(model: nn.Module, path: str) -> str:
    """The path of a trunk's list of blocks, seen from the causal model around it; InputError where it is not there."""
    lists: list[str] = [name for name, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    found = [name for name in lists if name == path or name.endswith(f".{path}")]
    if not found:
        raise InputError(f"{type(model).__name__}: has no list of blocks {path!r}, which the store was read at")
    nearest: str = min(found, key=lambda name: name.count("."))
    return nearest


def path_of(model: nn.Module, part: Any) -> str:
    """The path of a module in a model."""
    found: str = next(name for name, module in model.named_modules() if module is part)
    return found


def _lists(trunk: nn.Module) -> dict[str, int]:
    """The length of each ModuleList, by its path."""
    return {name: len(module) for name, module in trunk.named_modules() if isinstance(module, nn.ModuleList)}


def _listed(lists: dict[str, int]) -> str:
    """The lists that are not inside another, in words: a deep T5 has one in each block."""
    outer = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
    return ", ".join(f"{name} ({lists[name]})" for name in outer) or "no list of modules"
