"""Where a model keeps its blocks: the list of layers whose outputs are the residual stream."""

from typing import Any

from torch import nn

from w2s_probes.errors import InputError


def find_blocks(model: nn.Module, config: Any, blocks: str | None = None) -> str:
    """The path of the model's list of blocks, such as `layers` or `encoder.layer`.

    It is the one ModuleList as long as the config says the model is deep; of several, the one nearest to the
    root. `blocks` names it instead. InputError, with the candidates, where this does not decide.
    """
    lists = {name: len(m) for name, m in model.named_modules() if isinstance(m, nn.ModuleList)}
    if blocks is not None:
        if blocks not in lists:
            raise InputError(f"no list of blocks at {blocks!r}; the model has {_listed(lists)}")
        return blocks
    depth = getattr(config.get_text_config(), "num_hidden_layers", None)
    fitting = {name: name.count(".") for name, length in lists.items() if length == depth}
    if not depth:
        raise InputError(f"{type(model).__name__} has no blocks: its config says num_hidden_layers = {depth}")
    nearest = [name for name, dots in fitting.items() if dots == min(fitting.values())]
    if len(nearest) != 1:
        raise InputError(
            f"cannot tell which modules are the {depth} blocks of {type(model).__name__}; name them with --blocks: "
            f"{_listed(lists)}"
        )
    return str(nearest[0])


def _listed(lists: dict[str, int]) -> str:
    return ", ".join(f"{name} ({length})" for name, length in lists.items()) or "no list of modules"
