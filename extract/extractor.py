"""Extraction: rows through a model into a store, part by part, in memory that does not grow with the rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.progress import RowProgress, silent
from w2s_probes.rows.conversations import MESSAGES
from w2s_probes.share import WHOLE, Share
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.dtypes import WORDS, StoredDtype
from w2s_probes.store.layers import LayerSpec
from w2s_probes.store.manifest import identity_key
from w2s_probes.store.shards import Content
from w2s_probes.store.writer import StoreWriter

from .encoding import Encoding
from .filling import packed, run_together
from .forward.engine import Engine
from .forward.part_reading import TokenizedPart
from .models.loading import Placement, quantization_config
from .models.source import ModelSource
from .offload.offloaded_engine import OffloadedEngine
from .planned_rows import rows_at
from .positions import MARK, mark_of
from .row_files import checked_rows, rows_hash
from .site import RESIDUAL, Site, layers_of, site_of
from .templates import OWN

SHARD_BYTES = 256 << 20  # of activations: bounds the memory for results and the work lost to a kill
SHARD_ROWS = 2048
CHARACTERS_A_TOKEN = 4  # of English text; only the size of ragged shards hangs on it


@dataclass(frozen=True)
class Extraction:
    """A plan of what is stored: all that determines the numbers, and so the store's key; nothing is loaded yet."""

    source: ModelSource
    rows: pd.DataFrame  # columns `id` and `text`
    layers: list[int]
    position: str
    dtype: StoredDtype
    encoding: Encoding
    quantization: str | None = None
    site: Site = RESIDUAL
    left_out: tuple[str, ...] = ()  # ids of rows in which the position is nowhere, where these are skipped

    @classmethod
    def plan(
        cls,
        model: str | ModelSource,
        rows: pd.DataFrame,
        *,
        layers: LayerSpec = "all",
        site: str = "residual",
        position: str = "last",
        dtype: str = "auto",
        max_length: int | None = None,
        truncation: str = "right",
        chat_template: str | None = None,
        quantization: str | None = None,
        missing: str = "refuse",
    ) -> "Extraction":
        """Resolve names and defaults of all options of an extraction; nothing but config and tokenizer is read.

        `rows` has columns `text`, or `messages`, and, where present, `id`. `layers`, `site` ("residual", "attention",
        "mlp" or "logits:TOKENS") and `position` say what is kept of each row; `dtype` is that of computing and storing,
        "auto" the checkpoint's own. Texts longer than `max_length` tokens (the model's window unless given) are cut on
        the side that `truncation` names and counted in the manifest's notes, or, with "off", refused. `chat_template`
        ("own", or a Jinja file) makes each text a user's message, and writes conversations, of which it is "own" unless
        given. `quantization` is "8bit", "4bit" or JSON for transformers. Rows in which a marked position is nowhere are
        refused, or with `missing` "skip" left out.

        InputError for unusable models, rows, layers and options.
        """
        source = ModelSource.find(model) if isinstance(model, str) else model
        mark_of(position)  # which refuses what is none
        _ = source.config  # before what reads it for reasons of its own
        chat_template = OWN if chat_template is None and MESSAGES in rows else chat_template
        encoding = Encoding.plan(source, max_length, truncation, chat_template)
        stored_as = source.stored_dtype(dtype)
        source.refuse_if_remote(quantization=quantization)
        if quantization is not None:
            quantization_config(quantization)
        rows = checked_rows(rows, "rows", conversations=True)
        read = site_of(site, source, encoding)
        chosen = layers_of(read, layers, source.depth)
        (rows,), left_out = rows_at(rows, [position], source, encoding, missing)
        return cls(source, rows, chosen, position, stored_as, encoding, quantization, read, tuple(left_out))

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that determines the numbers but their rounding, which differs by device and batch (see the notes)."""
        return {
            "weights": self.source.weights,
            "blocks": self.source.block_path,
            "layers": self.layers,
            "position": self.position,
            "dtype": self.dtype,
            "quantization": self.quantization,
            **self.site.identity,
            **self.encoding.identity,
            **({"conversations": True} if MESSAGES in self.rows else {}),
            "rows": rows_hash(self.rows),
        }

    @property
    def key(self) -> str:
        """The store's key: a hash of the identity."""
        return identity_key(self.identity)

    @property
    def sites(self) -> dict[int, str]:
        """The module that is read for each layer, by its path."""
        return {layer: self.site.module(self.source.block_path, layer) for layer in self.layers}

    @property
    def width(self) -> int:
        """The numbers of a vector: the residual stream's, or as many as there are tokens whose logits are read."""
        return self.site.width(self.source.width)

    @property
    def token_names(self) -> dict[str, int]:
        """The tokens whose logits are read, as the tokenizer spells them, with their ids in the store's order."""
        return dict(zip(self.source.tokenizer.convert_ids_to_tokens(self.site.tokens), self.site.tokens, strict=True))

    def shard_rows(self, processes: int = 1) -> int:
        """The rows of a part: by the plan alone, so that all processes cut alike, into equal shares."""
        bytes_a_row = self.width * WORDS[self.dtype].itemsize * len(self.layers)
        if self.position == "all":
            characters = int(self.rows["text"].str.len().mean()) if len(self.rows) else 0
            tokens = 1 + characters // CHARACTERS_A_TOKEN
            bytes_a_row *= min(tokens, self.encoding.max_length or tokens)
        most = max(1, min(SHARD_ROWS, SHARD_BYTES // bytes_a_row))
        if processes == 1:
            return most
        rounds = max(1, -(-len(self.rows) // (processes * most)))
        return max(1, -(-len(self.rows) // (processes * rounds)))

    def writer(self, out: Path | str, processes: int = 1) -> StoreWriter:
        """The writer of this extraction's store at `out`, which goes on with an unfinished one, cut as it was begun."""
        return StoreWriter.open(
            out,
            identity=self.identity,
            sites=self.sites,
            depth=self.source.depth,
            width=self.width,
            dtype=self.dtype,
            ids=self.rows["id"].tolist(),
            shard_rows=self.shard_rows(processes),
            ragged=self.position == "all",
        )

    @property
    def marks(self) -> list[tuple[int, int]] | None:
        """The characters that mark the position in each row; None where it is none of those."""
        return self.rows[MARK].tolist() if MARK in self.rows else None

    def engine(
        self, placement: Placement, layers: Sequence[int] | None = None, *, positions: Sequence[str] = ()
    ) -> Engine:
        """The loaded model, read at the plan's layers or at some of them, at its position or at several."""
        if placement.offload is not None:
            raise InputError(
                "--offload is of `w2s extract` and `w2s repair`: whatever else reads a model loads it whole"
            )
        return Engine(
            self.source,
            layers=self.layers if layers is None else layers,
            position=positions or self.position,
            dtype=self.dtype,
            site=self.site,
            quantization=self.quantization,
            placement=placement,
        )

    def reader(self, placement: Placement, *, positions: Sequence[str] = ()) -> Engine | OffloadedEngine:
        """What reads the parts of the plan's store: the loaded model, or with `offload` block after block."""
        if placement.offload is None:
            return self.engine(placement, positions=positions)
        return OffloadedEngine(
            self.source,
            layers=self.layers,
            position=positions or self.position,
            dtype=self.dtype,
            site=self.site,
            quantization=self.quantization,
            placement=placement,
        )

    def run(
        self,
        out: Path | str,
        *,
        placement: Placement | None = None,
        engine: Engine | None = None,
        share: Share = WHOLE,
        cut_for: int | None = None,
        notes: Mapping[str, Any] | None = None,
        progress: RowProgress = silent,
        check: bool = True,
    ) -> ActivationStore | None:
        """Write the store at `out`, or go on with it, or open it where it is finished.

        With an `engine` of this plan's model and layers nothing is loaded. With a `share`, only this process's
        parts; None while the parts of other processes are missing. A new store is cut into parts for as many processes
        as share it, or for `cut_for`: other parts are other batches, whose numbers are rounded otherwise. With `check`
        a few rows of its first parts are read again, alone, and a model that gives them other numbers is refused; not
        on NDIF.
        """
        (store,) = run_together(
            [self],
            [out],
            placement,
            engine=engine,
            share=share,
            cut_for=cut_for,
            notes=notes,
            progress=progress,
            check=check,
        )
        return store

    def part(self, number: int, chosen: slice) -> TokenizedPart:
        """Some rows as a part of the store, tokenized."""
        rows, marks = self.rows.iloc[chosen], [] if self.marks is None else [self.marks[chosen]]
        encoded = self.encoding.encode_rows(self.source.tokenizer, rows, marks)
        return TokenizedPart(number, rows["id"].tolist(), encoded.rows, encoded.cut, at=encoded.at)

    def content(self, part: TokenizedPart, layers: Mapping[int, NDArray[Any]]) -> Content:
        """The content of a shard, from the tokens of its rows and their words at each layer."""
        return packed(part, layers, every_token=self.position == "all")


def extract(
    plan: Extraction,
    out: Path | str,
    *,
    placement: Placement | None = None,
    progress: RowProgress = silent,
    check: bool = True,
) -> ActivationStore:
    """Store the activations that `Extraction.plan` describes in the folder `out`.

    A finished store of the same plan at `out` is returned as it is; an unfinished one is gone on with; one of
    anything else is refused. With `check` a few rows are read again, alone, and a model whose rows depend on each
    other is refused. InputError for what cannot be stored, before anything is written.
    """
    if not isinstance(plan, Extraction):
        raise InputError("extract takes a plan and a folder: extract(Extraction.plan(model, rows), out)")
    store = plan.run(out, placement=placement, progress=progress, check=check)
    assert store is not None  # no other process had a share
    return store


def extract_cached(plan: Extraction, cache: Path, progress: RowProgress = silent) -> ActivationStore:
    """The planned store in the folder `cache`, under its key: it is made once for all that ask for it."""
    store = plan.run(cache / plan.key[:16], progress=progress)
    assert store is not None
    return store
