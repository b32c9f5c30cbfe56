"""Steering: a direction is added to, or taken out of, a layer while the model that made a store reads held-out rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.errors import InputError, did_you_mean
from w2s_probes.labels.label_file import LabelFile
from w2s_probes.labels.label_set import LabelSet, read_label_table
from w2s_probes.progress import RowProgress, RowsRead, silent
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.dtypes import StoredDtype
from w2s_probes.store.layers import LayerSpec
from w2s_probes.store.read_again import refuse_other_reading

from ..asking.asking import Asking
from ..asking.label_words import WORDS
from ..asking.prompts import PATTERN
from ..encoding import Encoding
from ..forward.trace import Position
from ..models.loading import Placement
from ..models.source import ModelSource
from .directions import Directions, refuse_not_later
from .held_rows import HeldRows, where_of
from .movement import Steered
from .steer_files import CONTROLS, LAYER_READ, WORDS_READ, By
from .steer_options import checked_strengths, parse_read, refuse_other_weights
from .steered_pass import LayerReadout, SteeredModel, StreamChanges, WordsReadout


@dataclass(frozen=True, eq=False)
class Steering:
    """A plan of what is steered and read: no weights are loaded yet."""

    source: ModelSource
    store: ActivationStore
    directions: Directions
    rows: HeldRows
    by: By
    strengths: tuple[float, ...]
    asking: Asking | None  # what is asked, where words are read; None: a later layer is
    from_token: int  # the first token whose state is changed; below 0 counted from a row's end

    @classmethod
    def plan(
        cls,
        model: str | ModelSource,
        store: ActivationStore,
        directions: Directions,
        rows: HeldRows,
        *,
        by: str = "add",
        strengths: Sequence[float] | None = None,
        from_token: int = 0,
        answers: tuple[str, str] = WORDS,
        prompt: str = PATTERN,
        chat_template: str | None = None,
    ) -> "Steering":
        """Resolve all options; nothing but config and tokenizer is read.

        A later layer is read where `directions` have its probe, on texts as the store's were; else the next-token
        logits of two words after each row's prompt (as `Asking.plan` takes them). InputError for another model than
        the store's, one without a language-model head where words are read, and options that cannot be used.
        """
        if by not in get_args(By):
            raise InputError(f"by {by!r}: {did_you_mean(by, get_args(By))}")
        how = cast(By, by)
        refuse_other_reading(store.manifest.identity, str(store.path), "steering")
        source = ModelSource.find(model) if isinstance(model, str) else model
        refuse_other_weights(store, source.weights, source.name)
        if directions.vectors.shape[1] != store.manifest.width:
            raise InputError(
                f"directions of width {directions.vectors.shape[1]}, and {store.path} has vectors of "
                f"{store.manifest.width}: fit them on this store"
            )
        refuse_not_later(directions.layer, None if directions.later is None else directions.later.layer)
        asking = None
        if directions.later is None:
            asking = Asking.plan(
                source,
                rows.table,
                answers=answers,
                prompt=prompt,
                chat_template=chat_template,
                dtype=store.manifest.dtype,
                quantization=store.manifest.identity.get("quantization"),
            )
        steered = checked_strengths(strengths, how)
        return cls(source, store, directions, rows, how, steered, asking, from_token)

    @property
    def dtype(self) -> StoredDtype:
        """The dtype that the model runs in, and that changes are added in: the store's."""
        return self.store.manifest.dtype

    @property
    def read(self) -> str:
        """What is read: words, or layer:M."""
        later = self.directions.later
        return WORDS_READ if later is None else f"{LAYER_READ}:{later.layer}"

    @cached_property
    def tokens(self) -> list[Tokens]:
        """The token ids of each row: of its prompt, or as the store's rows were read; InputError as these give it."""
        if self.asking is not None:
            return self.asking.tokens
        identity = self.store.manifest.identity
        encoding = Encoding.of_identity(identity, self.source.tokenizer, str(self.store.path))
        table = self.rows.table
        return encoding.encode(self.source.tokenizer, table["id"].tolist(), table["text"].tolist()).rows

    @property
    def about(self) -> dict[str, Any]:
        """What is asked of which model and store, as the record has it."""
        asking, manifest = self.asking, self.store.manifest
        return {
            "steered": {
                "model": self.source.name,
                "store": str(self.store.path),
                "key": self.store.key,
                "depth": manifest.depth,
                "position": str(manifest.identity["position"]),
                "from_token": self.from_token,
                "dtype": self.dtype,
            },
            "words": [] if asking is None else [word.spelling for word in asking.words],
            "prompt": None if asking is None else asking.prompt.pattern,
            "template": asking is not None and asking.prompt.template is not None,
        }

    def changes(self) -> StreamChanges:
        """The vectors (1 + D S, width): none at all first, then each direction at each strength."""
        one = self.directions
        vectors = one.vectors[:, None] * np.ones(len(self.strengths))[:, None]
        if self.by == "add":
            vectors = vectors * one.scale * np.asarray(self.strengths)[:, None]
        flat = np.concatenate([np.zeros((1, vectors.shape[-1])), vectors.reshape(-1, vectors.shape[-1])])
        return StreamChanges(one.layer, self.by, flat.astype(np.float32), self.from_token)

    def model(self, placement: Placement | None = None) -> SteeredModel:
        """The loaded model."""
        readout: WordsReadout | LayerReadout
        identity, later = self.store.manifest.identity, self.directions.later
        if self.asking is not None:
            first, second = self.asking.words
            readout = WordsReadout((first.token, second.token))
        else:
            assert later is not None
            readout = LayerReadout(later, cast(Position, identity["position"]))
        return SteeredModel(
            self.source,
            str(identity["blocks"]),
            readout,
            dtype=self.dtype,
            quantization=identity.get("quantization"),
            placement=placement,
        )

    def run(
        self,
        *,
        placement: Placement | None = None,
        model: SteeredModel | None = None,
        progress: RowProgress = silent,
    ) -> Steered:
        """Read every row left alone, once, and under every change. With a `model` of this plan nothing is loaded."""
        tokens, changes = self.tokens, self.changes()  # refused before weights are loaded
        short = [row for row, ids in enumerate(tokens) if len(ids) <= self.from_token]
        if short:
            raise InputError(
                f"from_token = {self.from_token}: {len(short)} of {len(tokens)} rows have no such token, first "
                f"{self.rows.table['id'].iloc[short[0]]!r} of {len(tokens[short[0]])}: nothing of them would be changed"
            )
        # Strength 0 is the row left alone, which is read once.
        kept = np.flatnonzero(changes.vectors.any(axis=1) | (np.arange(len(changes.vectors)) == 0))
        place = np.zeros(len(changes.vectors), dtype=np.intp)
        place[kept] = np.arange(len(kept))
        made = StreamChanges(changes.layer, changes.by, changes.vectors[kept], changes.from_token)
        loaded = model or self.model(placement)
        of_tokens = len(kept) * sum(map(len, tokens))
        done = RowsRead(0, len(kept) * len(tokens))

        def advance(rows: int, read: int) -> None:
            nonlocal done
            done = RowsRead(done.rows + rows, done.of_rows, done.tokens + read, of_tokens)
            progress(done)

        found = loaded.read(tokens, self.rows.table["id"].tolist(), made, advance)[place]
        log_odds = found[..., 1] - found[..., 0] if self.asking is not None else found[..., 0]
        said = None
        if self.asking is not None:
            said = np.exp(np.logaddexp(found[..., 0], found[..., 1]) - found[..., 2])
        shape = (len(self.directions.kinds), len(self.strengths), len(tokens))
        return Steered(
            self.directions,
            self.rows,
            self.by,
            self.read,
            self.strengths,
            log_odds[0],
            log_odds[1:].reshape(shape),
            None if said is None else said[0],
            None if said is None else said[1:].reshape(shape),
            self.about,
        )


def steer(
    model: str | ModelSource,
    store: ActivationStore | Path | str,
    labels: Path | str | pd.DataFrame | LabelSet,
    rows: pd.DataFrame | Path | str,
    *,
    layer: LayerSpec,
    read: str = WORDS_READ,
    probe: str = "logistic",
    l2: float | None = None,
    direction: ArrayLike | None = None,
    by: str = "add",
    strengths: Sequence[float] | None = None,
    from_token: int = 0,
    answers: tuple[str, str] = WORDS,
    prompt: str = PATTERN,
    chat_template: str | None = None,
    random: int = 20,
    controls: Sequence[str] = tuple(CONTROLS),
    seed: int = 0,
    allow_overlap: bool = False,
    placement: Placement | None = None,
    progress: RowProgress = silent,
) -> Steered:
    """Steer held-out `rows` by the direction of a probe of one layer, and see what the model then says, or thinks.

    The probe learns the weak `labels` of a store's rows; `model` made the store. `by` "add" adds the direction at each
    of `strengths`, in standard deviations of the learned rows' projections on it; "ablate" takes its component out.
    `read` is "words", the label words' log-odds after each row's prompt, or "layer:M", the log-odds of a probe of a
    later layer that learned the same labels. Beside it stand `random` directions of each of `controls`, of the same
    length. InputError where these do not fit, and for rows that the probe has learned from.
    """
    opened = store if isinstance(store, ActivationStore) else ActivationStore.open(store)
    file, later = LabelFile.read(labels), parse_read(read)
    source = ModelSource.find(model) if isinstance(model, str) else model
    refuse_other_weights(opened, source.weights, source.name)
    table = rows if isinstance(rows, pd.DataFrame) else read_label_table(rows)
    held = HeldRows.of(
        table, file, where_of(rows if isinstance(rows, Path | str) else None), allow_overlap=allow_overlap
    )
    options: dict[str, Any] = {"probe": probe, "l2": l2, "direction": direction, "controls": controls, "seed": seed}
    directions = Directions.fit(opened, file, layer=layer, later=later, random=random, **options)
    plan = Steering.plan(
        source,
        opened,
        directions,
        held,
        by=by,
        strengths=strengths,
        from_token=from_token,
        answers=answers,
        prompt=prompt,
        chat_template=chat_template,
    )
    return plan.run(placement=placement, progress=progress)
