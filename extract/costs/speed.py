"""The speed at which this machine would read a model: one of its blocks, with made-up weights, timed for a moment."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from w2s_probes.checkpoints.loading import usable
from w2s_probes.errors import InputError
from w2s_probes.places.memory import free_memory
from w2s_probes.store.dtypes import WORDS

from ..forward.engine import GPU_TOKENS, cpu_tokens
from ..forward.trace import ActivationReader
from ..models.loading import default_device, refuse_lacking_dtype
from ..models.source import ModelSource
from .estimate import Costs
from .flops import Batching, block_work, forward_flops

MOMENT = 0.25  # seconds that each of the two things measured may take, about: a plan is to stay quick
SHORT = 8  # tokens of the first batch, from which on batches grow until they take a moment
KNOWN = 64  # tokens of the stand-in for the table of tokens, which may be larger than a block
DRAWN = 1 << 20  # random numbers, of which the made-up weights are copies
ROOM = 0.5  # of the free memory, that the block may take
BIG = 1 << 26  # parameters of a block that a processor would take seconds to make up: one product stands for it
SIDES = (256, 1024, 2048)  # rows and sides, at most, of that product


@dataclass(frozen=True)
class BlockSpeed:
    """The speed of this machine on one block of a model, or for a large one on a product of its width."""

    timed: str  # the thing timed, in words
    batch_seconds: float  # of every batch beside its blocks: tracing, the table of tokens
    flops_per_s: float

    def seconds(self, costs: Costs) -> float:
        """Estimated time of an extraction's forward passes; loading the model is not in it."""
        return costs.batches * self.batch_seconds + costs.flops / self.flops_per_s


@dataclass(frozen=True)
class Machine:
    """The device that an extraction would run on here."""

    device: torch.device
    free: int | None  # bytes: of the GPU's memory where there is one, else of the computer's; None: it does not tell

    @classmethod
    def here(cls) -> "Machine":
        """This process's GPU, or the processor."""
        device = default_device()
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
        return cls(device, free)

    def batch_tokens(self, width: int) -> int:
        """Tokens a batch that an extraction from a model of this width takes here, where memory allows."""
        return GPU_TOKENS if self.device.type == "cuda" else cpu_tokens(width)

    def memory(self, costs: Costs) -> int:
        """Bytes that an extraction needs here, of what `free` counts."""
        return costs.device if self.device.type == "cuda" else costs.host + costs.device

    def __str__(self) -> str:
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        threads = torch.get_num_threads()
        return f"{self.device.type}, {threads} thread{'s' if threads > 1 else ''}"


def measure(source: ModelSource, costs: Costs, machine: Machine | None = None) -> BlockSpeed:
    """Time one block of the model on this machine, in the dtype and at the lengths of `costs`: about a second.

    No weights are read: the block's are random numbers. Batches grow until one takes a moment, or is as large as an
    extraction's. InputError where the device lacks the dtype or room for the block, or the block cannot be run so.
    """
    machine = machine or Machine.here()
    refuse_lacking_dtype(machine.device, costs.dtype)
    number = max(costs.blocks_run - 1, 0)
    block: Any = source.skeleton.get_submodule(source.block_path)[number]  # type: ignore[index]
    parameters = sum(p.numel() for p in block.parameters())
    if machine.device.type == "cpu" and parameters > BIG:
        return BlockSpeed("one product of its width", 0.0, _product(source.width, costs.dtype))
    needed = parameters * WORDS[costs.dtype].itemsize
    if machine.free is not None and needed > ROOM * machine.free:
        raise InputError(f"one block alone takes {needed / 1e9:.1f} GB, and {machine.free / 1e9:.1f} GB are free")
    with usable(source.name, "none of its blocks runs with made-up weights"):
        model = _one_block(source, number, costs, machine)
        reader = ActivationReader(model, source.block_path)
        rows, length = _shape(reader, costs, machine.batch_tokens(source.width))
        whole, beside = (_usual(partial(_once, reader, rows, length, layers)) for layers in ([0, 1], [0]))
    flops = forward_flops([block_work(block, source.config, number)], Batching.of(np.full(rows, length), rows * length))
    # Of a tiny block nearly all may be lost in the noise of what is beside it.
    return BlockSpeed("one of its blocks with random weights", beside, flops / max(whole - beside, whole / 20))


def _one_block(source: ModelSource, number: int, costs: Costs, machine: Machine) -> Any:
    """The model with this one of its blocks and a small table of tokens, on the device, with random weights."""
    model: Any = copy.deepcopy(source.skeleton)
    blocks = model.get_submodule(source.block_path)
    blocks[0] = blocks[number]
    del blocks[1:]
    model.set_input_embeddings(nn.Embedding(KNOWN, model.get_input_embeddings().weight.shape[1], device="meta"))
    model = model.to(getattr(torch, costs.dtype)).to_empty(device=machine.device).requires_grad_(False).eval()
    drawn = 0.02 * torch.randn(DRAWN, generator=torch.Generator().manual_seed(0))
    drawn = drawn.to(machine.device, getattr(torch, costs.dtype))
    for parameter in model.parameters():
        flat = parameter.view(-1)
        for start in range(0, len(flat), DRAWN):
            flat[start : start + DRAWN] = drawn[: len(flat) - start]
    for buffer in model.buffers():
        buffer.zero_()
    model.config.use_cache = False  # as where the weights are loaded
    return model


def _shape(reader: ActivationReader, costs: Costs, budget: int) -> tuple[int, int]:
    """Rows and length of the batch to time: that of an extraction, or the largest that takes but a moment."""
    usual = max(1, min(round(costs.tokens / costs.rows), budget))
    rows, length = 1, min(SHORT, usual)
    _once(reader, rows, length, [0, 1])  # the first time sets things up
    while 2 * min(_once(reader, rows, length, [0, 1]) for _ in range(2)) < MOMENT:
        larger = (1, min(2 * length, usual)) if length < usual else (2 * rows, usual)
        larger = (min(larger[0], costs.rows, max(1, budget // usual)), larger[1])
        if larger == (rows, length):
            break
        rows, length = larger
    return rows, length


def _once(reader: ActivationReader, rows: int, length: int, layers: list[int]) -> float:
    """Seconds of one batch."""
    ids = torch.randint(0, KNOWN, (rows, length), generator=torch.Generator().manual_seed(0))
    begin = time.perf_counter()
    for vectors in reader.read(ids, torch.ones_like(ids), layers, "last").values():
        vectors.cpu()  # which waits for the device
    return time.perf_counter() - begin


def _usual(once: Callable[[], float]) -> float:
    """Seconds that something usually takes: the median of as often as a moment holds, three times at least."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < MOMENT:
        times.append(once())
    return sorted(times)[len(times) // 2]


def _product(width: int, dtype: str) -> float:
    """FLOP/s of one product of matrices on the processor."""
    rows, side, other = (min(most, size) for most, size in zip(SIDES, (SIDES[0], width, 4 * width), strict=True))
    x, weights = (torch.full(shape, 0.02, dtype=getattr(torch, dtype)) for shape in ((rows, side), (other, side)))

    def once() -> float:
        begin = time.perf_counter()
        nn.functional.linear(x, weights)
        return time.perf_counter() - begin

    once()
    return 2.0 * rows * side * other / _usual(once)
