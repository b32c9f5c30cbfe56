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
Run = Callable[..., Any]  # runs a block by itself
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
        return {
            layer: _parts_of(blocks[layer - 1], blocks[layer - 1], call, _named(model, block_path, layer))
            for layer, call in calls.items()
        }


def parts_read(
    model: nn.Module, block_path: str, site: str, layers: Sequence[int], tokens: Sequence[int], device: torch.device
) -> dict[int, str]:
    """The path in its block, for each layer, of the module that is read for this site; see `block_parts`."""
    part = _part(site)
    blocks = list(model.get_submodule(block_path).children())
    for layer in layers:
        _refuse_without(part, blocks[layer - 1], layer, _named(model, block_path, layer))
    return {layer: parts[part] for layer, parts in block_parts(model, block_path, layers, tokens, device).items()}


def part_read(
    model: nn.Module, block_path: str, site: str, layer: int, block: nn.Module, run: Run, call: BlockCall
) -> str:
    """`parts_read` of one layer whose block has been called by `watched_call`; `run` runs the block by itself."""
    where = _named(model, block_path, layer)
    _refuse_without(_part(site), block, layer, where)
    with torch.inference_mode():
        return _parts_of(block, run, call, where)[_part(site)]


def watched_call(block: nn.Module, run: Run, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, BlockCall]:
    """What a block that is run gives, and its call with all that its modules handed on."""
    call = BlockCall(args, kwargs, states_of(args, kwargs).clone())
    with ExitStack() as hooks:
        _watch_inside(block, call, hooks)
        output = run(*args, **kwargs)
    states = states_after(output)
    call.after = None if states is None else states.clone()
    return output, call


def _named(model: nn.Module, block_path: str, layer: int) -> str:
    return f"{type(model).__name__}: block {layer - 1} of {block_path}"


def _part(site: str) -> Part:
    return "attention" if site == "attention" else "mlp"


def _refuse_without(part: Part, block: nn.Module, layer: int, where: str) -> None:
    if part == "attention" and not _attends(block):
        raise InputError(f"{where} has no attention: leave --site out, or layer {layer}")


def _parts_of(block: nn.Module, run: Run, call: BlockCall, where: str) -> dict[Part, str]:
    """The two parts of a block; the last token is looked at, which sees all others."""
    assert call.before is not None
    last = call.before.shape[1] - 1
    fitting = [pair for pair in combinations(_distinct(call), 2) if _adds_up(call, *pair)]
    found = [
        (attention, mlp)
        for one, other in fitting
        for attention, mlp in ((one, other), (other, one))
        if _mixes(block, run, call, attention, mlp, last)
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

    def going_out(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        states = states_after(output)
        call.after = None if states is None else states.clone()

    for handle in (block.register_forward_pre_hook(going_in, with_kwargs=True), block.register_forward_hook(going_out)):
        hooks.callback(handle.remove)
    _watch_inside(block, call, hooks)


def _watch_inside(block: nn.Module, call: BlockCall, hooks: ExitStack) -> None:
    """Keep what a block's modules hand on, once the call has what goes into it."""

    def inside(path: str) -> Callable[..., None]:
        def keep(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
            states, before = states_after(output), call.before
            if states is None or before is None or states.shape[-1:] != before.shape[-1:]:
                return
            if states.numel() == before.numel():  # copied, since some blocks add the next part into this one's memory
                call.parts.setdefault(path, []).append(states.reshape(before.shape).clone())

        return keep

    for path, module in block.named_modules():
        if path:
            hooks.callback(module.register_forward_hook(inside(path)).remove)


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


def _mixes(block: nn.Module, run: Run, call: BlockCall, attention: str, mlp: str, last: int) -> bool:
    """Whether the first lets other tokens into the last one, and the second, where the first is held, does not."""
    assert call.before is not None
    turned = -call.before
    turned[:, last] = call.before[:, last]
    free = _run_again(block, run, call, turned)
    held = _run_again(block, run, call, turned, held=attention)
    if any(len(again.parts.get(path, ())) != 1 for again in (free, held) for path in (attention, mlp)):
        return False
    rounded = ROUNDED.get(call.before.dtype, max(ROUNDED.values()))
    mixed = _change(call.parts[attention][0], free.parts[attention][0], last)
    return mixed > MIXED * rounded and _change(call.parts[mlp][0], held.parts[mlp][0], last) <= rounded


def _run_again(block: nn.Module, run: Run, call: BlockCall, states: Tensor, held: str | None = None) -> BlockCall:
    """The block on other states, with the output of one of its modules as it was."""
    with ExitStack() as hooks:
        if held is not None:
            kept = call.parts[held][0]

            def hold(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
                return replaced(output, lambda now: kept.reshape(now.shape).clone())

            handle = block.get_submodule(held).register_forward_hook(hold)
            hooks.callback(handle.remove)
        # A cache of keys holds those of the first call, and would take those of this one, too.
        args = tuple(None if isinstance(value, Cache) else value for value in call.args)
        kwargs = {name: None if isinstance(value, Cache) else value for name, value in call.kwargs.items()}
        return watched_call(block, run, *with_states(args, kwargs, states))[1]


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
