"""From texts to token ids: template, window, and what is cut; in a thread that runs ahead of the model."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.errors import InputError, did_you_mean

from .models.source import ModelSource
from .templates import Template, template_source

Truncation = Literal["right", "left", "off"]
Tokens = NDArray[np.int32]


@dataclass(frozen=True)
class Encoded:
    """Token ids of some rows, and of how many rows the text was cut."""

    rows: list[Tokens]
    cut: int


@dataclass(frozen=True)
class Encoding:
    """How a text becomes tokens: all of it is part of a store's key."""

    max_length: int | None  # tokens; None where the model has no limit
    truncation: Truncation  # which end of a longer text is cut; off: it is refused
    template: Template | None  # makes a conversation of the text; None: the text as it is

    @classmethod
    def plan(
        cls, source: ModelSource, max_length: int | None, truncation: str, chat_template: str | None
    ) -> "Encoding":
        """Check the options and read the template: `own`, or a file's; InputError where they cannot be used."""
        if truncation not in get_args(Truncation):
            raise InputError(f"truncation {truncation!r}: {did_you_mean(truncation, get_args(Truncation))}")
        if max_length is not None and max_length < 1:
            raise InputError(f"max_length={max_length} must be at least 1 token")
        limits = [limit for limit in (max_length, source.window) if limit is not None]
        side: Any = truncation
        template = None
        if chat_template is not None:
            jinja = template_source(source.tokenizer, source.name, chat_template)
            template = Template.plan(source.tokenizer, jinja, f"chat template {chat_template}")
        planned = cls(min(limits, default=None), side, template)
        if max_length is not None and max_length <= (added := planned.added_tokens(source.tokenizer)):
            raise InputError(
                f"max_length={max_length} leaves no room for text beside the {added} tokens that the tokenizer adds: "
                "raise it"
            )
        return planned

    @classmethod
    def of_identity(cls, identity: Mapping[str, Any], tokenizer: Any, where: str) -> "Encoding":
        """That of a store's identity, its template rendered anew: on another day it may say something else."""
        jinja = identity.get("template")
        template = None if jinja is None else Template.plan(tokenizer, jinja, f"{where}: its chat template")
        return cls(identity.get("max_length"), identity.get("truncation", "right"), template)

    def added_tokens(self, tokenizer: Any) -> int:
        """How many special tokens stand around every text; with a template it writes them itself."""
        return 0 if self.template is not None else int(tokenizer.num_special_tokens_to_add(pair=False))

    @property
    def identity(self) -> dict[str, Any]:
        """What of it is part of a store's key."""
        identity = {"max_length": self.max_length, "truncation": self.truncation, "template": None}
        if self.template is None:
            return identity
        return identity | {"template": self.template.source, "rendering": self.template.fingerprint}

    def encode(self, tokenizer: Any, ids: Sequence[str], texts: Sequence[str]) -> Encoded:
        """Token ids of every text, at most `max_length` each.

        Raises InputError for a text without tokens, for one longer than the limit with truncation off, and where
        the template cannot be applied.
        """
        texts = list(texts)
        options: dict[str, Any] = {"verbose": False, "return_attention_mask": False, "return_token_type_ids": False}
        if self.template is not None:
            self.template.refuse_changed(tokenizer)
            rows = zip(ids, texts, strict=True)
            texts = [self.template.render(tokenizer, text, f"row {row!r}") for row, text in rows]
            options["add_special_tokens"] = False  # the template writes them out
        if self.max_length is None:
            tokens = tokenizer(texts, **options)["input_ids"]
            cut: list[int] = []
        else:
            tokenizer.truncation_side = "left" if self.truncation == "left" else "right"
            # One more than the limit is asked for, which tells a row that was cut from one that just fits.
            tokens = tokenizer(texts, truncation=True, max_length=self.max_length + 1, **options)["input_ids"]
            cut = [row for row, t in enumerate(tokens) if len(t) > self.max_length]
            if cut and self.truncation == "off":
                raise InputError(
                    f"row {ids[cut[0]]!r} is longer than {self.max_length} tokens, and truncation is off: shorten or "
                    f"drop it ({len(cut)} such rows among {len(texts)}), or choose --truncation right"
                )
            if cut:  # again, since the tokenizer puts its closing tokens inside the limit
                shorter = tokenizer([texts[i] for i in cut], truncation=True, max_length=self.max_length, **options)
                for row, short in zip(cut, shorter["input_ids"], strict=True):
                    tokens[row] = short
        for row_id, row in zip(ids, tokens, strict=True):
            if not row:
                raise InputError(f"row {row_id!r}: its text has no tokens in this model's vocabulary; drop it")
        return Encoded([np.asarray(row, dtype=np.int32) for row in tokens], len(cut))


class EncodedAhead:
    """The parts of a table, tokenized one after another in a thread that runs ahead of whoever reads them.

    Token ids are kept as 4-byte integers until they are read, about as much memory as the texts themselves.
    """

    def __init__(self, source: ModelSource, encoding: Encoding, rows: pd.DataFrame, parts: dict[int, slice]) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tokens")
        self._encoding, self._tokenizer = encoding, source.tokenizer
        self._ids, self._texts = rows["id"], rows["text"]
        self._counts: dict[int, int] = {}
        self._total = len(parts)
        self._parts = {part: self._thread.submit(self._encode, part, chosen) for part, chosen in parts.items()}

    @property
    def tokens(self) -> int | None:
        """How many tokens all parts have; None until they have been counted."""
        return sum(self._counts.values()) if len(self._counts) == self._total else None

    def take(self, part: int) -> Encoded:
        """A part's tokens, which are then forgotten."""
        self.raise_errors()
        flat, lengths, cut = self._parts.pop(part).result()
        return Encoded(np.split(flat, np.cumsum(lengths)[:-1]), cut)

    def raise_errors(self) -> None:
        """Raise what is wrong with any part that has been looked at, long before it would be computed."""
        for part in self._parts.values():
            if part.done() and (error := part.exception()) is not None:
                raise error

    def wait(self) -> None:
        """Wait for every part, so that an unusable row is refused before anything is computed."""
        for part in self._parts.values():
            part.result()

    def close(self) -> None:
        """Stop; parts not begun are left."""
        self._thread.shutdown(cancel_futures=True)

    def _encode(self, part: int, chosen: slice) -> tuple[Tokens, list[int], int]:
        ids, texts = self._ids.iloc[chosen].tolist(), self._texts.iloc[chosen].tolist()
        encoded = self._encoding.encode(self._tokenizer, ids, texts)
        lengths = [len(row) for row in encoded.rows]
        self._counts[part] = sum(lengths)
        return np.concatenate(encoded.rows), lengths, encoded.cut  # an array a row would cost more than its tokens
