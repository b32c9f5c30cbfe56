"""The shape of the states that a model's blocks hand on, checked on one small batch before any row is read."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from w2s_probes.checkpoints.blocks import trunk_of
from w2s_probes.checkpoints.loading import BROKEN
from w2s_probes.devices import out_of_memory
from w2s_probes.errors import InputError, whole_reason

from ..models.source import ModelSource, auto_class


@dataclass
class Seen:
    """The calls of one block, and the states of the last one."""

    calls: int = 0
    came: Any = None
    went: Any = None


def refuse_layout_of_skeleton(source: ModelSource, layers: Sequence[int]) -> None:
    """`refuse_other_layouts` by the config alone: shapes are followed through the model, and no numbers."""
    config, code = source.config, source.trust.remote_code
    with _without_tracebacks(), FakeTensorMode(allow_non_fake_inputs=True):
        try:
            trunk = trunk_of(auto_class(config).from_config(config, trust_remote_code=code)).eval()
        except BROKEN:  # said better where its weights are read
            return
        refuse_other_layouts(
            trunk, source.block_path, source.width, layers, [2, 3, 4], torch.device("cpu"), values=False
        )


@contextmanager
def _without_tracebacks() -> Iterator[None]:
    """Keep torch from logging steps that it cannot follow without numbers, such as a mixture's products."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def refuse_other_layouts(
    model: nn.Module,
    block_path: str,
    width: int,
    layers: Sequence[int],
    tokens: Sequence[int],
    device: torch.device,
    *,
    values: bool = True,
) -> None:
    """InputError unless every block is run once, in order, on hidden states (rows, length, width).

    The batch holds the `tokens` of one row a few times, its number of rows another than its length: a model with
    (length, rows, width), with several streams, or with blocks that are skipped or run again, is told by it. In one
    row the last token is another: a model that puts tokens of its own in front of the text is told by where that is
    seen. Of a model without `values` only shapes can be asked, and only where it runs without.
    """
    ids = layout_batch(tokens, device)
    blocks = list(model.get_submodule(block_path).children())
    seen = [Seen() for _ in blocks]
    order: list[int] = []

    def looked_at(number: int) -> Any:
        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
            seen[number].calls += 1
            seen[number].came = args[0] if args else next(iter(kwargs.values()), None)
            seen[number].went = out
            order.append(number)

        return hook

    hooks = [block.register_forward_hook(looked_at(i), with_kwargs=True) for i, block in enumerate(blocks)]
    try:
        with torch.inference_mode():
            model(input_ids=ids, attention_mask=torch.ones_like(ids))
    except BROKEN as error:  # such as models that want pictures, too, or that lack a product in this dtype
        if isinstance(error, RuntimeError) and out_of_memory(error):
            raise
        if not values:  # or that cannot choose their way without any
            return
        raise InputError(not_on_token_ids(model, error)) from error
    finally:
        for hook in hooks:
            hook.remove()
    refuse_seen(model, block_path, width, layers, ids, seen, order, values=values)


def layout_batch(tokens: Sequence[int], device: torch.device) -> Tensor:
    """Token ids (rows, length) of one row a few times, at least 3 tokens and at most 64; the last is another once."""
    tokens = [*tokens, *tokens][:3] if len(tokens) < 3 else list(tokens)[:64]
    rows = 2 if len(tokens) != 2 else 3
    ids = torch.tensor([list(tokens)] * rows, dtype=torch.int64, device=device)
    ids[-1, -1] = 0 if tokens[-1] else 1
    return ids


def not_on_token_ids(model: nn.Module, error: BaseException) -> str:
    """The message for a model that fails on token ids."""
    dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
    return f"{type(model).__name__} cannot be run on token ids alone in {dtype} ({whole_reason(error)})"


def refuse_seen(
    model: nn.Module,
    block_path: str,
    width: int,
    layers: Sequence[int],
    ids: Tensor,
    seen: Sequence[Seen],
    order: list[int],
    *,
    values: bool = True,
) -> None:
    """`refuse_other_layouts` by what was seen of each block, and the order of their calls, on a `layout_batch`."""
    rows, length = ids.shape
    name = f"{type(model).__name__}: block"
    for number in range(max(layers, default=0)):
        here, calls = f"{name} {number} of {block_path}", seen[number].calls
        if calls != 1:
            often = "skipped" if not calls else f"run {calls} times for one text"
            raise InputError(
                f"{here} is {often}, so it is no one layer of the residual stream: choose other --layers, or name "
                "other --blocks"
            )
        _refuse_shape(seen[number].went, (rows, length, width), f"{here} hands on")
    if order[: max(layers, default=0)] != list(range(max(layers, default=0))):
        raise InputError(
            f"{name}s of {block_path} are run in the order {list(order[:8])}, so their numbers are no depth"
        )
    came = f"{name} 0 of {block_path} is given"
    if 0 in layers:
        _refuse_shape(seen[0].came, (rows, length, width), came)
    filled = isinstance(seen[0].came, Tensor) and seen[0].came.dim() == 3 and seen[0].came.shape[1] > length
    if filled and values:
        changed = (seen[0].came[-1] != seen[0].came[0]).any(dim=-1).nonzero().flatten().tolist()
        if changed and changed[0] >= length:
            raise InputError(f"{came} {changed[0] + 1 - length} tokens before the text: such models are not read")


def _refuse_shape(states: Any, expected: tuple[int, int, int], what: str) -> None:
    if isinstance(states, tuple | list) and states:
        states = states[0]
    rows, length, width = expected
    wanted = f"(rows, tokens, width) = {expected}"
    if not isinstance(states, Tensor):
        raise InputError(f"{what} a {type(states).__name__}, not hidden states {wanted}: such models are not read")
    shape = tuple(states.shape)
    # Some models fill rows up to their window: more tokens are no other layout.
    if len(shape) != 3 or shape[0] != rows or shape[1] < length or shape[2] != width:
        raise InputError(f"{what} {shape}, not hidden states {wanted}: such models are not read")
