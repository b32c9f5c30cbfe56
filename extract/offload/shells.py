"""A trunk without its blocks' weights, whose own forward pass leads a batch to one block at a time.

The trunk makes masks, positions and whatever else it gives to a block, for each batch and block anew; blocks before the
wanted one hand on zeros, and those after it are not reached. So every family is read as its own code reads it, and
nothing but the states has to be kept between two blocks. torch alone does this: nnsight traces a model that runs from
its first block to its last with all weights there, and here they never are.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..forward.call_states import states_after, states_of, with_states

Block = Callable[..., Any]
Meeting = Callable[[int, tuple[Any, ...], dict[str, Any]], Any]  # a block's number and what it is called with


class Arrived(BaseException):
    """The batch has come as far as was asked for; no `except Exception` on the way is to stop it."""


@dataclass
class Passage:
    """What one batch met at one block."""

    number: int
    block: Block | None  # None: only what would go into it is wanted
    kept: Sequence[Tensor]  # the block's input, then whatever else the block before it handed on; none at the first
    onward: bool  # to the next block, whose input is the outcome
    order: list[int] = field(default_factory=list)  # of the blocks that were called
    came: Tensor | None = None  # states that the block was given
    went: Any = None  # its output
    keep: list[Tensor] = field(default_factory=list)  # as `kept`, for the next block
    part: Tensor | None = None  # what the block's attention or MLP handed on, where that is read


_NOWHERE = Passage(0, None, [], onward=False)


class Shells:
    """The blocks of a model, each replaced in place by what stands in for it on the way of a batch."""

    def __init__(self, trunk: nn.Module, block_path: str) -> None:
        self.trunk, self.path, self._passage = trunk, block_path, _NOWHERE
        self._forms: dict[int, tuple[type, int, list[int]] | None] = {}
        self._guests: dict[int, Meeting] = {}  # by thread
        blocks: Any = trunk.get_submodule(block_path)
        self._blocks = blocks
        self._empty: list[nn.Module] = list(blocks)
        for number, block in enumerate(self._empty):
            block.forward = partial(self._called, number)

    def install(self, number: int, block: nn.Module) -> Block:
        """Put a block with its weights to its place, where the trunk may set it up; returns what runs it."""
        run: Block = block.forward
        block.forward = partial(self._called, number)
        self._blocks[number] = block
        return run

    def block(self, number: int) -> nn.Module:
        """The block at its place."""
        there: nn.Module = self._blocks[number]
        return there

    def empty(self, number: int) -> None:
        """Put the block without weights back."""
        self._blocks[number] = self._empty[number]

    def pass_through(
        self, ids: Tensor, mask: Tensor, number: int, block: Block | None, kept: Sequence[Tensor], *, onward: bool
    ) -> Passage:
        """Lead a batch (rows, length) to a block, through it, and with `onward` to the input of the next one."""
        self._passage = passage = Passage(number, block, kept, onward)
        with suppress(Arrived):
            self.trunk(input_ids=ids, attention_mask=mask)
        passage.block, self._passage = None, _NOWHERE  # nothing is to hold the weights longer than they are needed
        return passage

    def accompany(self, meeting: Meeting, ids: Tensor, mask: Tensor) -> Any:
        """What the model gives, run as it is in this thread, where each block's output is what `meeting` says."""
        self._guests[threading.get_ident()] = meeting
        try:
            return self.trunk(input_ids=ids, attention_mask=mask)
        finally:
            del self._guests[threading.get_ident()]

    def _called(self, number: int, *args: Any, **kwargs: Any) -> Any:
        if (meeting := self._guests.get(threading.get_ident())) is not None:
            return meeting(number, args, kwargs)
        passage = self._passage
        passage.order.append(number)
        if number < passage.number:
            return self._zeros(number, passage.kept)
        if number > passage.number:
            self._leave(passage, number, args, kwargs)
        if passage.went is not None:  # run a second time, which the order tells
            raise Arrived
        passage.came = passage.kept[0] if passage.kept else states_of(args, kwargs)
        if passage.block is None:
            raise Arrived
        args, kwargs = with_states(args, kwargs, passage.came)
        passage.went = passage.block(*args, **kwargs)
        if not passage.onward:
            raise Arrived
        return passage.went

    def _zeros(self, number: int, kept: Sequence[Tensor]) -> Any:
        """The output of a block that is passed by: its states are looked at by no one."""
        states, form = kept[0].new_zeros(kept[0].shape), self._forms[number]
        if form is None:
            return states
        kind, length, _ = form
        rest: list[Any] = [None] * (length - 1)
        for place, tensor in zip(self._places(), kept[1:], strict=True):
            if place < length:
                rest[place - 1] = tensor
        return kind([states, *rest])

    def _places(self) -> list[int]:
        """The places of what else is kept in the output of the block before the one that is wanted."""
        form = self._forms.get(self._passage.number - 1)
        return [] if form is None else form[2]

    def _leave(self, passage: Passage, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Keep the next block's input, and of the block's other outputs those that the trunk gives to it."""
        went, given = passage.went, {_place_in_memory(tensor) for tensor in _tensors([*args[1:], *kwargs.values()])}
        places: list[int] = []
        if not isinstance(went, Tensor):
            rest = enumerate(went[1:], start=1)
            places = [at for at, x in rest if isinstance(x, Tensor) and _place_in_memory(x) in given]
        self._forms[passage.number] = None if isinstance(went, Tensor) else (type(went), len(went), places)
        passage.keep = [states_of(args, kwargs), *(went[at] for at in places)]
        raise Arrived


def _tensors(values: Sequence[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += _tensors(value)
        elif isinstance(value, dict):
            found += _tensors(list(value.values()))
    return found


def _place_in_memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def joined(passages: Sequence[Passage]) -> Passage:
    """The passage of a batch whose rows were led to the block in several pieces."""
    first, rows = passages[0], [len(passage.came) for passage in passages if passage.came is not None]

    def together(tensors: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(tensors)) if [len(t) for t in tensors] == rows else tensors[0]

    came = together([passage.came for passage in passages if passage.came is not None])
    states = [states_after(passage.went) for passage in passages]
    went = None if first.went is None else together([state for state in states if state is not None])
    keep = [together(tensors) for tensors in zip(*(passage.keep for passage in passages), strict=True)]
    parts = [passage.part for passage in passages if passage.part is not None]
    part = together(parts) if parts else None
    return Passage(first.number, first.block, first.kept, first.onward, first.order, came, went, keep, part)
