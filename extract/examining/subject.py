"""The store that is examined: how its numbers were made as far as it says so, and the rows that are looked at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.errors import InputError
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.dtypes import StoredDtype
from w2s_probes.store.read_again import refuse_other_reading

from ..encoding import Encoding
from ..forward.trace import Position
from ..models.checkpoints import Trust
from ..models.source import ModelSource
from ..row_files import rows_hash, texts_of
from .candidates import POSITIONS
from .sampling import drawn_places

SAMPLE = 32


@dataclass(frozen=True)
class Subject:
    """A store, the model that it is said to be of, and how that reads the store's rows."""

    store: ActivationStore
    source: ModelSource
    texts: pd.Series  # of the store's rows, in its order, by id
    encoding: Encoding
    dtype: StoredDtype  # in which the model computes
    position: Position | None  # that the store says it holds; None: it does not say
    quantization: str | None = None
    remarks: tuple[str, ...] = ()

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

        `rows` has columns `id` and `text`, and may hold more rows than the store. InputError where rows of the store
        are missing, and where an option contradicts what the store says.
        """
        identity, where = store.manifest.identity, str(store.path)
        refuse_other_reading(identity, where, "w2s doctor --model")
        texts = texts_of(store.ids.tolist(), rows, where)
        own = "weights" in identity
        if own and (dtype != "auto" or chat_template or blocks):
            raise InputError(f"{where}: says itself how it was extracted: leave out --dtype, --chat-template, --blocks")
        source = ModelSource.find(
            model, revision=revision, blocks=identity["blocks"] if own else blocks, trust=trust or Trust()
        )
        said: Any = identity.get("position", "unknown")
        position = said if said in (*POSITIONS, "all") else position
        if not own:
            encoding = Encoding.plan(source, None, "right", chat_template)
            return cls(store, source, texts, encoding, source.stored_dtype(dtype), position)
        remarks = []
        if identity["weights"] != source.weights:
            remarks.append(f"{where}: was made from {identity['weights']}, and {model} is {source.weights}")
        if identity["rows"] != rows_hash(pd.DataFrame({"id": texts.index, "text": texts.to_numpy()})):
            remarks.append(f"{where}: was made from other texts than those given, for one row at least")
        encoding = Encoding.of_identity(identity, source.tokenizer, where)
        return cls(
            store,
            source,
            texts,
            encoding,
            store.manifest.dtype,
            position,
            identity["quantization"],
            tuple(remarks),
        )

    def sample(self, count: int) -> NDArray[np.intp]:
        """The places in the store of some rows: drawn (`drawn_places`), and those of the shortest and longest text."""
        if count < 2:
            raise InputError(f"--sample {count}: at least 2 rows are needed, whose distance is the measure")
        lengths = self.texts.str.len().to_numpy()
        return np.unique([*drawn_places(len(lengths), count), int(lengths.argmin()), int(lengths.argmax())])

    def tokens(self, places: NDArray[np.intp]) -> list[Tokens]:
        """The token ids of some rows, as the extraction makes them."""
        chosen = self.texts.iloc[places]
        return self.encoding.encode(self.source.tokenizer, chosen.index.tolist(), chosen.tolist()).rows
