"""The attention and the MLP of a block: the two of its modules whose outputs add up, with its input, to its output.

Nothing is told by names of architectures. The sum must hold bit for bit on a small batch of the user's own rows, so
that a block that scales or norms a part, or their sum, shows: there the module after the scaling is found, or none is.
Which of the two is the attention is tried out: it lets other tokens into a token, and the MLP, where the attention's
output is held, does not.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import Cache

from w2s_probes.checkpoints.loading import BROKEN
from w2s_probes.devices import out_of_memory
from w2s_probes.errors import InputError

from .call_states import states_after, states_of, with_states
from .layout import layout_batch, not_on_token_ids
from .trace import replaced

Part = Literal["attention", "mlp"]
# Of the change of a token's output where all other tokens are turned around, as a share of the tokens' spread: an MLP's
# changes by rounding alone, where a mixture of experts meets other tokens beside it; an attention's by more than 1.
ROUNDED = {torch.float32: 1e-3, torch.float16: 0.02, torch.bfloat16: 0.05}
MIXED = 2.0  # times as much at least is the attention's
ATTENTION = "att"  # in the name or the class of one of the modules of a block that attends, in every family


@dataclass
class BlockCall:
    """One call of a block: what it was given, what it gave, and the states that its modules handed on."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    before: Tensor | None = None
    after: Tensor | None = None
    parts: dict[str, list[Tensor]] = field(default_factory=dict)  # by path, one for each call, in the order of calls


def block_parts(
    model: nn.Module, block_path: str, layers: Sequence[int], tokens: Sequence[int], device: torch.device
) -> dict[int, dict[Part, str]]:
    """The path in its block, for each layer, of the module that adds the attention's output and of the MLP's.

    A batch of these tokens is run once, and each block twice more by itself. InputError, with the block's number, where
    the parts cannot be told: blocks that norm or scale the sum, or that lack one of them.
    """
    blocks = list(model.get_submodule(block_path).children())
    ids = layout_batch(tokens, device)
    calls = {layer: BlockCall() for layer in layers}
    with torch.inference_mode():
        with ExitStack() as hooks:
            for layer, call in calls.items():
                _watch(blocks[layer - 1], call, hooks)
            try:
                model(input_ids=ids, attention_mask=torch.ones_like(ids))
            except BROKEN as error:
                if isinstance(error, RuntimeError) and out_of_memory(error):
                    raise
                raise InputError(not_on_token_ids(model, error)) from error
        name = type(model).__name__
        return {
            layer: _parts_of(blocks[layer - 1], call, ids.shape[1] - 1, f"{name}: block {layer - 1} of {block_path}")
            for layer, call in calls.items()
        }


def parts_read(
    model: nn.Module, block_path: str, site: str, layers: Sequence[int], tokens: Sequence[int], device: torch.device
) -> dict[int, str]:
    """The path in its block, for each layer, of the module that is read for this site; see `block_parts`."""
    part: Part = "attention" if site == "attention" else "mlp"
    blocks = list(model.get_submodule(block_path).children())
    for layer in layers:
        if part == "attention" and not _attends(blocks[layer - 1]):
            raise InputError(
                f"{type(model).__name__}: block {layer - 1} of {block_path} has no attention: leave --site out, or "
                f"layer {layer}"
            )
    return {layer: parts[part] for layer, parts in block_parts(model, block_path, layers, tokens, device).items()}


def _parts_of(block: nn.Module, call: BlockCall, last: int, where: str) -> dict[Part, str]:
    """The two parts of a block; `last` is the token that is looked at, which sees all others."""
    fitting = [pair for pair in combinations(_distinct(call), 2) if _adds_up(call, *pair)]
    found = [
        (attention, mlp)
        for one, other in fitting
        for attention, mlp in ((one, other), (other, one))
        if _mixes(block, call, attention, mlp, last)
    ]
    if len(found) != 1:
        what = "parts of it add up to what it hands on" if len(fitting) > 1 else "an attention's and an MLP's output"
        reason = f"in several ways {what}" if len(fitting) > 1 else f"what it adds to its input is not {what}"
        raise InputError(
            f"{where}: {reason} (it norms or scales their sum, or has other parts), so it has no site attention or "
            "mlp: leave --site out"
        )
    return {"attention": found[0][0], "mlp": found[0][1]}


def _watch(block: nn.Module, call: BlockCall, hooks: ExitStack) -> None:
    """Keep what goes into a block, through its modules and out of it."""

    def going_in(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        call.args, call.kwargs = args, kwargs
        call.before = states_of(args, kwargs).clone()

    def inside(path: str) -> Callable[..., None]:
        def keep(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
            states, before = states_after(output), call.before
            if states is None or before is None or states.shape[-1:] != before.shape[-1:]:
                return
            if states.numel() == before.numel():  # copied, since some blocks add the next part into this one's memory
                call.parts.setdefault(path, []).append(states.reshape(before.shape).clone())

        return keep

    def going_out(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        states = states_after(output)
        call.after = None if states is None else states.clone()

    handles = [block.register_forward_pre_hook(going_in, with_kwargs=True), block.register_forward_hook(going_out)]
    handles += [module.register_forward_hook(inside(path)) for path, module in block.named_modules() if path]
    for handle in handles:
        hooks.callback(handle.remove)


def _distinct(call: BlockCall) -> list[str]:
    """The modules that were called once, those of equal outputs once: the outermost, and of these the first."""
    chosen: list[str] = []
    once = {path: states[0] for path, states in call.parts.items() if len(states) == 1 and states[0].any()}
    for path in sorted(once, key=lambda path: path.count(".")):
        if not any(torch.equal(once[path], once[other]) for other in chosen):
            chosen.append(path)
    return chosen


def _adds_up(call: BlockCall, one: str, other: str) -> bool:
    """Whether input and two outputs are the block's output, bit for bit, added in one of the three orders."""
    if call.before is None or call.after is None:
        return False
    before, x, y = call.before, call.parts[one][0], call.parts[other][0]
    return any(torch.equal(total, call.after) for total in ((before + x) + y, before + (x + y), (before + y) + x))


def _mixes(block: nn.Module, call: BlockCall, attention: str, mlp: str, last: int) -> bool:
    """Whether the first lets other tokens into the last one, and the second, where the first is held, does not."""
    assert call.before is not None
    turned = -call.before
    turned[:, last] = call.before[:, last]
    free = _run_again(block, call, turned)
    held = _run_again(block, call, turned, held=attention)
    if any(len(again.parts.get(path, ())) != 1 for again in (free, held) for path in (attention, mlp)):
        return False
    rounded = ROUNDED.get(call.before.dtype, max(ROUNDED.values()))
    mixed = _change(call.parts[attention][0], free.parts[attention][0], last)
    return mixed > MIXED * rounded and _change(call.parts[mlp][0], held.parts[mlp][0], last) <= rounded


def _run_again(block: nn.Module, call: BlockCall, states: Tensor, held: str | None = None) -> BlockCall:
    """The block on other states, with the output of one of its modules as it was."""
    again = BlockCall()
    with ExitStack() as hooks:
        if held is not None:
            kept = call.parts[held][0]

            def hold(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
                return replaced(output, lambda now: kept.reshape(now.shape).clone())

            handle = block.get_submodule(held).register_forward_hook(hold)
            hooks.callback(handle.remove)
        _watch(block, again, hooks)
        # A cache of keys holds those of the first call, and would take those of this one, too.
        args = tuple(None if isinstance(value, Cache) else value for value in call.args)
        kwargs = {name: None if isinstance(value, Cache) else value for name, value in call.kwargs.items()}
        args, kwargs = with_states(args, kwargs, states)
        block(*args, **kwargs)
    return again


def _change(was: Tensor, now: Tensor, token: int) -> float:
    """How far a token's output moves, beside the distance of the tokens' outputs from their mean."""
    was, now = was.float(), now.float()
    spread = (was - was.mean(dim=1, keepdim=True)).norm(dim=-1).mean()
    moved = (now[:, token] - was[:, token]).norm(dim=-1).mean()
    return float(moved / spread.clamp(min=torch.finfo(torch.float32).tiny))


def _attends(block: nn.Module) -> bool:
    """Whether one of a block's modules is called an attention; the norm after another mixer may be called so, too."""
    named = [f"{path.rpartition('.')[2]} {type(module).__name__}".lower() for path, module in block.named_modules()]
    return any(ATTENTION in name and "norm" not in name for name in named[1:])
