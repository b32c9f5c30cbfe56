"""The rows of an extraction as token ids: template, window, cuts; in a thread that runs ahead of the model."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.checkpoints.tokens import Tokens, token_limit, tokenize
from w2s_probes.errors import InputError, did_you_mean
from w2s_probes.rows.conversations import MESSAGES, Conversation

from .marking import CutOff, tokens_at
from .models.source import ModelSource
from .rendering import Rendered, Renderer, Span, plain
from .templates import Template, template_source

Truncation = Literal["right", "left", "off"]


@dataclass(frozen=True)
class Encoded:
    """The token ids of some rows, and the number of rows whose text was cut."""

    rows: list[Tokens]
    cut: int
    at: NDArray[np.int64] | None = None  # (rows, marks) the tokens at marked positions, where there are some


@dataclass(frozen=True)
class Encoding:
    """The way from a text to its tokens; all of it is part of a store's key."""

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
        side: Any = truncation
        template = None
        if chat_template is not None:
            jinja = template_source(source.tokenizer, source.name, chat_template)
            template = Template.plan(source.tokenizer, jinja, f"chat template {chat_template}")
        added = 0 if template is not None else None  # a template writes the special tokens itself
        return cls(token_limit(source.tokenizer, max_length, source.window, added=added), side, template)

    @classmethod
    def of_identity(cls, identity: Mapping[str, Any], tokenizer: Any, where: str) -> "Encoding":
        """The encoding of a store's identity, its template rendered anew: it may hold the date."""
        jinja = identity.get("template")
        template = None if jinja is None else Template.plan(tokenizer, jinja, f"{where}: its chat template")
        return cls(identity.get("max_length"), identity.get("truncation", "right"), template)

    @property
    def identity(self) -> dict[str, Any]:
        """The fields of a store's identity."""
        identity = {"max_length": self.max_length, "truncation": self.truncation, "template": None}
        if self.template is None:
            return identity
        return identity | {"template": self.template.source, "rendering": self.template.fingerprint}

    def encode(self, tokenizer: Any, ids: Sequence[str], texts: Sequence[str]) -> Encoded:
        """Token ids of every text, at most `max_length` each.

        Raises InputError for a text without tokens, for one longer than the limit with truncation off, and where
        the template cannot be applied.
        """
        return self._tokenized(tokenizer, ids, [each.text for each in self._rendered(tokenizer, ids, texts)])

    def encode_rows(self, tokenizer: Any, table: pd.DataFrame, marks: Sequence[Sequence[Span]] = ()) -> Encoded:
        """`encode` of a table with `id` and `text`, or with `messages` in the place of the text.

        `marks` are characters of what is read, a list for each marked position. Raises `CutOff`, with the rows, where
        they are beyond the tokens that are read, and InputError as `encode` does.
        """
        ids = table["id"].tolist()
        texts = [each.text for each in self.rendered(tokenizer, table)]
        encoded = self._tokenized(tokenizer, ids, texts)
        if not marks:
            return encoded
        side: Any = "left" if self.truncation == "left" else "right"
        how: dict[str, Any] = {"limit": self.max_length, "side": side, "special_tokens": self.template is None}
        return replace(encoded, at=tokens_at(tokenizer, ids, texts, encoded.rows, marks, **how))

    def rendered(self, tokenizer: Any, table: pd.DataFrame, *, located: bool = False) -> list[Rendered]:
        """What the model reads of each row of a table, before it is cut; `located`, with the place of a text in it.

        InputError for a template that leaves messages out, or, where it is to be located, changes a text.
        """
        said = table[MESSAGES].tolist() if MESSAGES in table else table["text"].tolist()
        return self._rendered(tokenizer, table["id"].tolist(), said, located=located)

    def _rendered(
        self, tokenizer: Any, ids: Sequence[str], said: Sequence[str | Conversation], *, located: bool = False
    ) -> list[Rendered]:
        if self.template is None:
            return [plain(text) for text in said if isinstance(text, str)]
        self.template.refuse_changed(tokenizer)
        renderer, found = Renderer(tokenizer, self.template), []
        for row, one in zip(ids, said, strict=True):
            if not isinstance(one, str):
                found.append(renderer.render(one, f"row {row!r}"))
            elif located:
                found.append(renderer.render((("user", one),), f"row {row!r}", of_text=True))
            else:  # a template may write a text otherwise, such as in capitals
                found.append(Rendered(self.template.render(tokenizer, one, f"row {row!r}"), (), ()))
        return found

    def _tokenized(self, tokenizer: Any, ids: Sequence[str], texts: Sequence[str]) -> Encoded:
        rows, cut = tokenize(
            tokenizer,
            texts,
            self.max_length,
            lambda row: f"row {ids[row]!r}",
            side="left" if self.truncation == "left" else "right",
            special_tokens=self.template is None,  # it writes them out
        )
        if cut and self.truncation == "off":
            raise InputError(
                f"row {ids[cut[0]]!r} is longer than {self.max_length} tokens, and truncation is off: shorten or "
                f"drop it ({len(cut)} such rows among {len(texts)}), or choose --truncation right"
            )
        return Encoded(rows, len(cut))


class EncodedAhead:
    """The parts of a table, tokenized one after another in a thread that runs ahead of their reader.

    Token ids are kept as 4-byte integers until they are read, about as much memory as the texts themselves.
    """

    def __init__(
        self,
        source: ModelSource,
        encoding: Encoding,
        rows: pd.DataFrame,
        parts: dict[int, slice],
        marks: Sequence[Sequence[Span]] = (),
    ) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tokens")
        self._encoding, self._tokenizer = encoding, source.tokenizer
        self._rows, self._marks = rows, list(marks)
        self._counts: dict[int, int] = {}
        self._total = len(parts)
        self._parts = {part: self._thread.submit(self._encode, part, chosen) for part, chosen in parts.items()}

    @property
    def tokens(self) -> int | None:
        """The tokens of all parts; None until they have been counted."""
        return sum(self._counts.values()) if len(self._counts) == self._total else None

    def take(self, part: int) -> Encoded:
        """A part's tokens, which are then forgotten."""
        self.raise_errors()
        flat, lengths, cut, at = self._parts.pop(part).result()
        return Encoded(np.split(flat, np.cumsum(lengths)[:-1]), cut, at)

    def raise_errors(self) -> None:
        """Raise the error of any part that has been tokenized, long before the part would be computed."""
        for part in self._parts.values():
            if part.done() and (error := part.exception()) is not None:
                raise error

    def wait(self, positions: Sequence[str] = ()) -> None:
        """Wait for every part, so that unusable rows are refused before anything is computed.

        `positions` are the names of the marked ones, for those that are cut off.
        """
        errors = [error for part in self._parts.values() if (error := part.exception()) is not None]
        cut_off = [error for error in errors if isinstance(error, CutOff)]
        if cut_off and len(cut_off) == len(errors):
            raise CutOff.joined(cut_off, positions)
        for error in errors:
            raise error

    def close(self) -> None:
        """Stop the thread; parts that are not begun are never tokenized."""
        self._thread.shutdown(cancel_futures=True)

    def _encode(self, part: int, chosen: slice) -> tuple[Tokens, list[int], int, NDArray[np.int64] | None]:
        marks = [spans[chosen] for spans in self._marks]
        encoded = self._encoding.encode_rows(self._tokenizer, self._rows.iloc[chosen], marks)
        lengths = [len(row) for row in encoded.rows]
        self._counts[part] = sum(lengths)
        together = np.concatenate(encoded.rows)  # an array a row would cost more than its tokens
        return together, lengths, encoded.cut, encoded.at
