"""The engine: a loaded model that turns token ids into a store's words, batch by batch, at the device's pace."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from w2s_probes.checkpoints.batches import batches, padded
from w2s_probes.checkpoints.blocks import block_path_in
from w2s_probes.checkpoints.tokens import Tokens, refuse_unknown_tokens
from w2s_probes.devices import out_of_memory
from w2s_probes.errors import InputError
from w2s_probes.progress import silent
from w2s_probes.rows.offsets import offsets_of
from w2s_probes.store.dtypes import WORDS, StoredDtype

from ..models.loading import Placement, load_speaker, load_trunk
from ..models.source import ModelSource
from ..positions import mark_of, refuse_marked
from ..site import RESIDUAL, Site
from .block_parts import parts_read
from .fitting import fitting, or_no_memory
from .layout import refuse_other_layouts
from .logit_lens import LogitReader
from .model_state import ModelState
from .part_reading import ReadPart, TokenizedPart
from .remote import RemoteReader
from .switches import mode_of
from .trace import ActivationReader, PartReader, Position, Where

CPU_TOKENS = 1024  # more do not make a processor faster; fewer do not fill it
CPU_WIDTH = 384  # of a model narrower than this: its passes are short beside what each of them costs in any case
MOST_CPU_TOKENS = 8192
GPU_TOKENS = 32768  # the same for the fastest cards at hand, where memory allows
REMOTE_TOKENS = 8192  # a request takes seconds, however small; the memory there is shared with others
REMOTE_BYTES = 64 << 20  # of an answer; what no server should mind
BatchProgress = Callable[[int, int], None]  # rows and tokens since the last call


@dataclass(frozen=True)
class Vectors:
    """The vectors of one batch on their way to the host."""

    rows: list[int]
    words: Tensor  # (layers, vectors, width)
    finite: Tensor  # (layers, vectors) whether all of a vector's numbers are
    arrived: torch.cuda.Event | None  # None where they are there already


class Engine:
    """Reads chosen layers of any number of token sequences, at one position or at several side by side."""

    def __init__(
        self,
        source: ModelSource,
        *,
        layers: Sequence[int],
        position: str | Sequence[str],
        dtype: StoredDtype,
        site: Site = RESIDUAL,
        quantization: str | None = None,
        placement: Placement | None = None,
    ) -> None:
        self._positions: list[str] = [position] if isinstance(position, str) else list(position)
        self._every = self._positions == ["all"]  # else as many vectors a row as there are positions
        placement = placement or Placement()
        self._path, self._site, self._width = source.block_path, site, site.width(source.width)
        if source.remote:
            source.refuse_if_remote(quantization=quantization, device_map=placement.device_map, attn=placement.attn)
            site.refuse_elsewhere("--remote")
            refuse_marked(self._positions, "--remote")
            self.reader: ActivationReader = RemoteReader(source, dtype)
        elif site.name == "logits":
            model = load_speaker(source, dtype, placement, quantization)
            self._path = block_path_in(model, source.block_path)
            self.reader = LogitReader(model, self._path, site.tokens)
        else:
            kind = ActivationReader if site.name == "residual" else PartReader
            self.reader = kind(load_trunk(source, dtype, placement, quantization), source.block_path)
        self._source, self._layers, self._dtype = source, sorted(layers), dtype
        self._state = None if source.remote else ModelState(self.reader.model)
        self._mode, self._layout_known = mode_of(source.text_config), source.remote
        self.budget = placement.batch_tokens or self._affordable()

    @property
    def device(self) -> torch.device:
        """The device of the inputs."""
        return self.reader.device

    @property
    def place(self) -> str:
        """The device that the model runs on, in words."""
        return "NDIF" if self._source.remote else str(self.device)

    @property
    def site_modules(self) -> dict[int, str]:
        """The module of each block, by layer, that gives the site: known once rows have been read, of parts alone."""
        return self.reader.parts if isinstance(self.reader, PartReader) else {}

    def restore(self) -> None:
        """Put the model's state back as it was loaded, so that no batch depends on those before it."""
        if self._state is not None:
            self._state.restore()

    def together(self, lengths: Sequence[int]) -> list[list[int]]:
        """The rows (n,) in groups that the model reads alike, each of which may be one batch; any budget aside."""
        return list(batches(lengths, 1 << 62, mode=self._mode))

    def read(
        self,
        tokens: Sequence[Tokens],
        names: Sequence[str],
        progress: BatchProgress = silent,
        *,
        at: NDArray[np.int64] | None = None,
    ) -> dict[int, NDArray[Any]]:
        """For each layer the words (rows, width), or with position `all` (tokens, width), rows in their own order.

        Of P positions (rows P, width), a row's side by side. `at` (rows, marks) are the tokens of the marked ones.

        A batch that does not fit into memory is tried again in halves, and those after it are as small. Raises
        InputError, naming the row, for numbers that are not finite and for a single row that does not fit.
        """
        lengths = [len(row) for row in tokens]
        refuse_unknown_tokens(self._source.name, tokens, self._source.vocabulary, lambda row: f"row {names[row]!r}")
        if not self._layout_known and len(tokens):
            self._refuse_other_layouts(tokens[0])
        each = lengths if self._every else np.full(len(lengths), len(self._positions))
        places = offsets_of(each)
        arrays = {layer: np.empty((int(places[-1]), self._width), WORDS[self._dtype]) for layer in self._layers}
        before: Vectors | None = None
        for budget, rows, vectors in fitting(
            lengths,
            self.budget,
            lambda budget, left: batches(lengths, budget, left, self._mode),
            lambda rows: self._forward([tokens[row] for row in rows], rows, at),
            lambda row: self._too_long(names[row], lengths[row]),
        ):
            self.budget = budget
            if before is not None:  # copied while the device was busy with the batch after it
                self._place(before, arrays, places, names)
            before = vectors
            progress(len(rows), sum(lengths[row] for row in rows))
        if before is not None:
            self._place(before, arrays, places, names)
        return arrays

    def read_parts(self, parts: Iterable[TokenizedPart], progress: BatchProgress = silent) -> Iterator[ReadPart]:
        """The words of each part, one part after another."""
        for part in parts:
            yield ReadPart(part, self.read(part.tokens, part.names, progress, at=part.at), self)

    @torch.inference_mode()
    def _forward(self, tokens: Sequence[Tokens], rows: list[int], at: NDArray[np.int64] | None) -> Vectors | None:
        """One batch; None where it does not fit into memory."""
        ids, mask = padded(tokens, pad=self._source.pad)
        where = where_of(self._positions, None if at is None else at[rows])
        self.restore()
        failed = f"model {self._source.name} fails on texts of {ids.shape[1]} tokens in {self._dtype}"
        return or_no_memory(
            lambda: self._on_their_way(self.reader.read(ids, mask, self._layers, where), rows),
            failed,
            "another --dtype, --attn or --max-length",
        )

    def _on_their_way(self, vectors: Mapping[int, Tensor], rows: list[int]) -> Vectors:
        device = vectors[self._layers[-1]].device
        # Some models hand on another dtype than their weights': rounded here, before anything is checked.
        dtype = getattr(torch, self._dtype)
        words = torch.stack([vectors[layer].to(device=device, dtype=dtype) for layer in self._layers])
        finite = torch.isfinite(words).all(dim=-1)
        if device.type != "cuda":
            return Vectors(rows, words.cpu(), finite.cpu(), None)
        # Into pinned memory, without waiting for the device.
        words, finite = words.to("cpu", non_blocking=True), finite.to("cpu", non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record(torch.cuda.current_stream(device))
        return Vectors(rows, words, finite, arrived)

    def _too_long(self, row: str, tokens: int) -> str:
        more = "" if self._source.remote else ", or choose a smaller --dtype, --quantization, or --device-map auto"
        return (
            f"row {row!r} with {tokens} tokens does not fit into the memory of {self.place}: lower --max-length{more}"
        )

    def _place(
        self, vectors: Vectors, arrays: dict[int, NDArray[Any]], places: NDArray[np.int64], names: Sequence[str]
    ) -> None:
        if vectors.arrived is not None:
            vectors.arrived.synchronize()
        at = np.concatenate([np.arange(places[row], places[row + 1]) for row in vectors.rows])
        finite = vectors.finite.numpy()
        if not finite.all():
            layer, vector = np.argwhere(~finite)[0]
            row = names[int(np.searchsorted(places, at[vector], side="right")) - 1]
            refuse_non_finite(self._layers[layer], row, self._dtype)
        words = words_of(vectors.words)
        assert words.dtype == WORDS[self._dtype]  # else NumPy would convert words as if they were numbers
        for layer, layer_words in zip(self._layers, words, strict=True):
            arrays[layer][at] = layer_words

    def _refuse_other_layouts(self, tokens: Tokens) -> None:
        """InputError for a model whose blocks do not hand on (rows, tokens, width), or lack the site; asked once."""
        model, row = self.reader.model, tokens.tolist()
        try:
            refuse_other_layouts(model, self._path, self._source.width, self._layers, row, self.device)
            if isinstance(self.reader, PartReader):
                self.reader.parts = parts_read(model, self._path, self._site.name, self._layers, row, self.device)
            elif isinstance(self.reader, LogitReader):
                self.reader.check(row)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if self._site.name != "residual":
                raise InputError(self._too_long("that the site is looked for on", len(row))) from error
            return  # the rows themselves will not fit either, and are refused by name
        self._layout_known = True

    def _affordable(self) -> int:
        """Tokens of a batch: enough to fill the processor, or a power of two that fits into the card's memory."""
        width = self._source.width
        if self._source.remote:
            vector = width * len(self._layers) * WORDS[self._dtype].itemsize
            return min(REMOTE_TOKENS, max(1, REMOTE_BYTES // vector)) if self._every else REMOTE_TOKENS
        every = 2 * width * len(self._layers) if self._every else 0
        return affordable_tokens(self._source, self.device, self._dtype, every)


def where_of(positions: Sequence[str], at: NDArray[np.int64] | None) -> Where:
    """The positions of a batch, whose marked ones are at these tokens (rows, marks)."""
    marks = iter(() if at is None else torch.from_numpy(np.ascontiguousarray(at.T)))
    found = tuple(next(marks) if mark_of(one) else cast(Position, one) for one in positions)
    return found[0] if len(found) == 1 else found


def refuse_non_finite(layer: int, row: str, dtype: StoredDtype) -> None:
    """Raises the InputError for a row's numbers that are none."""
    advice = "try --dtype bfloat16 or float32" if dtype == "float16" else "are the model's weights damaged?"
    raise InputError(f"layer {layer} of row {row!r} is NaN or infinite in {dtype}: {advice}")


def affordable_tokens(
    source: ModelSource, device: torch.device, dtype: StoredDtype, kept: int = 0, reserved: int = 0
) -> int:
    """Tokens of a batch on this device; `kept` are the numbers that are held of each token beside the pass itself.

    `reserved` are bytes of the device that something else will take.
    """
    width = source.width
    if device.type != "cuda":
        return cpu_tokens(width)
    free, _ = torch.cuda.mem_get_info(device)
    most = int(0.6 * max(0, free - reserved)) // ((numbers_a_token(source) + kept) * WORDS[dtype].itemsize)
    return min(GPU_TOKENS, max(CPU_TOKENS, 1 << max(0, most.bit_length() - 1)))  # of a card that is full: 0


def numbers_a_token(source: ModelSource) -> int:
    """Numbers that a block holds at its fullest: about a dozen copies of the stream, a few of the MLP's inner layer."""
    named = getattr(source.text_config, "intermediate_size", None) or 0
    inner = max(4 * source.width, *(named if isinstance(named, list | tuple) else [named]))  # Gemma 3n: one a block
    return 12 * source.width + 4 * inner


def cpu_tokens(width: int) -> int:
    """Tokens of a batch on a processor, for a model of this width.

    >>> cpu_tokens(4096), cpu_tokens(64)
    (1024, 6144)
    """
    return min(MOST_CPU_TOKENS, CPU_TOKENS * max(1, CPU_WIDTH // width))


def words_of(vectors: Tensor) -> NDArray[Any]:
    """A tensor's numbers as the store keeps them, bit for bit."""
    vectors = vectors.detach().cpu().contiguous()
    if vectors.dtype == torch.bfloat16:
        return np.asarray(vectors.view(torch.uint16).numpy())
    return np.asarray(vectors.numpy())
