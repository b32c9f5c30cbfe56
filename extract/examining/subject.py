"""The store that is examined: how its numbers were made as far as it says so, and the rows that are looked at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.rows.conversations import MESSAGES
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.dtypes import StoredDtype
from w2s_probes.store.read_again import CONVERSATIONS, refuse_other_reading

from ..encoding import Encoded, Encoding
from ..forward.trace import Position
from ..models.checkpoints import Trust
from ..models.source import ModelSource
from ..planned_rows import rows_at
from ..positions import MARK
from ..row_files import checked_rows, rows_hash, texts_of
from ..site import RESIDUAL, Site, site_of_identity
from ..templates import OWN
from .candidates import POSITIONS
from .sampling import drawn_places

SAMPLE = 32


@dataclass(frozen=True)
class Subject:
    """A store, the model that it is said to be of, and how that reads the store's rows."""

    store: ActivationStore
    source: ModelSource
    rows: pd.DataFrame  # the store's, in its order, with what marks its position
    encoding: Encoding
    dtype: StoredDtype  # in which the model computes
    position: str | None  # that the store says it holds; None: it does not say
    quantization: str | None = None
    remarks: tuple[str, ...] = ()
    site: Site = RESIDUAL

    @classmethod
    def of(
        cls,
        store: ActivationStore,
        model: str,
        rows: pd.DataFrame,
        *,
        position: Position | None = None,
        dtype: str = "auto",
        chat_template: str | None = None,
        revision: str | None = None,
        blocks: str | None = None,
        trust: Trust | None = None,
    ) -> "Subject":
        """Read the store's identity. What was extracted says itself how; of the rest the options say it.

        `rows` has columns `id` and `text` or `messages`, and the field that marks a span, and may hold more rows than
        the store. InputError where rows of the store are missing, and where an option contradicts what the store says.
        """
        identity, where = store.manifest.identity, str(store.path)
        own = "weights" in identity
        if not own:
            refuse_other_reading(identity, where, "w2s doctor --model")
        rows = _rows_of(store, checked_rows(rows, "rows", conversations=True), where)
        if own and (dtype != "auto" or chat_template or blocks):
            raise InputError(f"{where}: says itself how it was extracted: leave out --dtype, --chat-template, --blocks")
        source = ModelSource.find(
            model, revision=revision, blocks=identity["blocks"] if own else blocks, trust=trust or Trust()
        )
        if not own:
            said: Any = identity.get("position", "unknown")
            named = said if said in (*POSITIONS, "all") else position
            template = OWN if chat_template is None and MESSAGES in rows else chat_template
            encoding = Encoding.plan(source, None, "right", template)
            return cls(store, source, rows, encoding, source.stored_dtype(dtype), named)
        if bool(identity.get(CONVERSATIONS)) != (MESSAGES in rows):
            held, given = ("conversations", "texts") if identity.get(CONVERSATIONS) else ("texts", "conversations")
            raise InputError(f"{where}: holds {held}, and the rows are {given}: give those that it was made from")
        remarks, held_at = [], str(identity["position"])
        if identity["weights"] != source.weights:
            remarks.append(f"{where}: was made from {identity['weights']}, and {model} is {source.weights}")
        encoding = Encoding.of_identity(identity, source.tokenizer, where)
        (rows,), _ = rows_at(rows, [held_at], source, encoding)
        if identity["rows"] != rows_hash(rows):
            remarks.append(f"{where}: was made from other texts than those given, for one row at least")
        return cls(
            store,
            source,
            rows,
            encoding,
            store.manifest.dtype,
            held_at,
            identity["quantization"],
            tuple(remarks),
            site_of_identity(identity),
        )

    @property
    def marked(self) -> str | None:
        """The position that each row marks; None where it is one of those that have a name."""
        return self.position if MARK in self.rows else None

    @property
    def names(self) -> list[str]:
        """The ids of the store's rows, in its order."""
        return list(self.rows["id"])

    def sample(self, count: int) -> NDArray[np.intp]:
        """The places in the store of some rows: drawn (`drawn_places`), and those of the shortest and longest text."""
        if count < 2:
            raise InputError(f"--sample {count}: at least 2 rows are needed, whose distance is the measure")
        lengths = self.rows["text"].str.len().to_numpy()
        return np.unique([*drawn_places(len(lengths), count), int(lengths.argmin()), int(lengths.argmax())])

    def encoded(self, places: NDArray[np.intp]) -> Encoded:
        """The token ids of some rows, as the extraction makes them, and the tokens at the marked position."""
        chosen = self.rows.iloc[places]
        return self.encoding.encode_rows(
            self.source.tokenizer, chosen, [chosen[MARK].tolist()] if MARK in chosen else []
        )


def _rows_of(store: ActivationStore, rows: pd.DataFrame, where: str) -> pd.DataFrame:
    """The rows of a store, in its order, without others; InputError where some are missing."""
    ids = store.ids.tolist()
    texts_of(ids, rows, where)
    found: pd.DataFrame = rows.set_index("id", drop=False).loc[ids].reset_index(drop=True)
    return found
