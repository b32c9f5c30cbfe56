"""Asking a model: a label word's probability as the next token after each row, and labels made of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.checkpoints.tokens import Tokens, tokenize
from w2s_probes.errors import InputError, did_you_mean
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.progress import RowProgress, RowsRead, silent
from w2s_probes.store.dtypes import StoredDtype
from w2s_probes.store.manifest import identity_key

from ..models.loading import Placement, quantization_config, refuse_speechless
from ..models.source import ModelSource
from ..row_files import checked_rows, rows_hash
from ..templates import Template, find_template
from .adjusting import CONTENT_FREE, PAIR, QUESTION, Calibration, bias, consistent
from .kept_batches import KeptBatches
from .label_words import WORDS, LabelWord, beginning, label_words
from .prompts import PATTERN, Prompt, refuse_pattern
from .shots import Shot
from .speaker import NextToken, Speaker


@dataclass(frozen=True, eq=False)
class Answers:
    """A model's answers about n rows."""

    ids: NDArray[np.object_]  # (n,)
    p: NDArray[np.float64]  # (n,) P(1), calibrated, and consistent within questions and pairs
    logit_0: NDArray[np.float64]  # (n,) of the label words, as the model gives them
    logit_1: NDArray[np.float64]  # (n,)
    log_total: NDArray[np.float64]  # (n,) log of the sum of exp of every token's logit
    shift: float  # subtracted from the log-odds: the model's bias to label 1; 0 without calibration
    together: int  # questions and pairs whose rows were judged together
    key: str  # of all that decides the numbers

    @property
    def log_odds(self) -> NDArray[np.float64]:
        """logit_1 - logit_0 (n,), before calibration."""
        return self.logit_1 - self.logit_0

    @property
    def said(self) -> NDArray[np.float64]:
        """The probability (n,) of the two words together: near 0 where the model would say something else."""
        return np.exp(np.logaddexp(self.logit_0, self.logit_1) - self.log_total)

    @property
    def labels(self) -> LabelSet:
        """The weak labels."""
        return LabelSet(self.ids, self.p, "weak", {"asked": self.key})


@dataclass(frozen=True)
class Asking:
    """A plan of what is asked: all that determines the answers; no weights are loaded yet."""

    source: ModelSource
    rows: pd.DataFrame  # columns `id` and `text`; `question` and `pair` where rows hang together
    prompt: Prompt
    words: tuple[LabelWord, LabelWord]  # of labels 0 and 1
    shots: tuple[Shot, ...]
    calibrate: Calibration | None
    dtype: StoredDtype
    quantization: str | None = None

    @classmethod
    def plan(
        cls,
        model: str | ModelSource,
        rows: pd.DataFrame,
        *,
        answers: tuple[str, str] = WORDS,
        prompt: str = PATTERN,
        shots: Sequence[Shot] = (),
        calibrate: str | None = None,
        chat_template: str | Template | None = None,
        dtype: str = "auto",
        quantization: str | None = None,
    ) -> "Asking":
        """Resolve all options; nothing but config and tokenizer is read.

        `answers` are the words of labels 0 and 1; in `prompt` {text} stands for a row's, {0} and {1} for the answers.
        `chat_template` is "own", a Jinja file, or "none" for plain text; the tokenizer's own where it has one, unless
        given. `calibrate`: "prior", by the mean answer over these rows, or "content-free". InputError for a model that
        cannot answer, for words that are no single tokens, and for options that cannot be used.
        """
        source = ModelSource.find(model) if isinstance(model, str) else model
        refuse_speechless(source)
        refuse_pattern(prompt)
        if calibrate is not None and calibrate not in get_args(Calibration):
            raise InputError(f"calibrate {calibrate!r}: {did_you_mean(calibrate, get_args(Calibration))}")
        if quantization is not None:
            quantization_config(quantization)
        rows, tokenizer = checked_rows(rows, "rows"), source.tokenizer
        template = find_template(source.tokenizer, source.name, chat_template)
        bare = Prompt(prompt, answers, template)
        before = bare.of(tokenizer, str(rows["text"].iloc[0]), "the first row")
        words = label_words(tokenizer, source.name, answers, before)
        for word in words:
            if word.token >= source.vocabulary:
                raise InputError(
                    f"answer {word.word!r} is token {word.token}, and {source.name} knows {source.vocabulary}: "
                    "tokenizer and weights are of different models"
                )
        shown = replace(bare, shots=tuple((shot.text, shot.label) for shot in shots), words=words)
        kind: Any = calibrate
        return cls(source, rows, shown, words, tuple(shots), kind, source.stored_dtype(dtype), quantization)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that determines the answers but their rounding."""
        template = self.prompt.template
        links = [name for name in (QUESTION, PAIR) if name in self.rows]
        return {
            "weights": self.source.weights,
            "dtype": self.dtype,
            "quantization": self.quantization,
            "prompt": self.prompt.pattern,
            "words": [[word.word, word.spelling, word.token] for word in self.words],
            "template": None if template is None else [template.source, template.fingerprint],
            "shots": [[shot.text, shot.label] for shot in self.shots],
            "calibrate": self.calibrate,
            "rows": rows_hash(self.rows),
            "together": {name: list(map(str, self.rows[name])) for name in links},
        }

    @property
    def key(self) -> str:
        """A hash of the identity."""
        return identity_key(self.identity)

    @cached_property
    def tokens(self) -> list[Tokens]:
        """The token ids of each row's prompt (n arrays); InputError for one longer than the model's window."""
        return self.tokens_of(self.rows["text"].tolist(), [f"row {row!r}" for row in self.rows["id"]])

    def tokens_of(self, texts: Sequence[str], names: Sequence[str]) -> list[Tokens]:
        """The same of any texts (n,), which messages call by these names."""
        encoded = self._encode(self.prompt.every(self.source.tokenizer, names, texts), names)
        limit = self.source.window
        long = [at for at, row in enumerate(encoded) if limit is not None and len(row) > limit]
        if long:
            raise InputError(
                f"{names[long[0]]} with its prompt is {len(encoded[long[0]])} tokens, and {self.source.name} reads "
                f"{limit} ({len(long)} such rows among {len(names)}): shorten or drop them, or give fewer shots"
            )
        return encoded

    def speaker(self, placement: Placement | None = None) -> Speaker:
        """The loaded model."""
        return Speaker(self.source, dtype=self.dtype, quantization=self.quantization, placement=placement)

    def run(
        self,
        *,
        placement: Placement | None = None,
        speaker: Speaker | None = None,
        progress: RowProgress = silent,
        kept: Path | None = None,
    ) -> Answers:
        """Ask about every row. With a `speaker` of this plan's model nothing is loaded.

        Batches are kept in the folder `kept` as they are read: an asking that was stopped goes on there, and ends with
        the same bits on the same machine. The folder is deleted at the end.
        """
        tokens = self.tokens  # refused before weights are loaded
        empty = self._content_free() if self.calibrate == "content-free" else []
        speaker = speaker or self.speaker(placement)
        done, of_tokens = RowsRead(0, len(tokens)), sum(map(len, tokens))

        def advance(rows: int, read: int) -> None:
            nonlocal done
            done = RowsRead(done.rows + rows, done.of_rows, done.tokens + read, of_tokens)
            progress(done)

        numbers = [word.token for word in self.words]
        batches = KeptBatches(kept, self.key)
        found = speaker.read(tokens, self.rows["id"].tolist(), numbers, advance, batches)
        own = _log_odds(found)
        shift = 0.0
        if self.calibrate == "prior":
            shift = bias(own)
        elif empty:
            shift = bias(_log_odds(speaker.read(empty, ["content-free"] * len(empty), numbers)))
        p, together = consistent(own - shift, self.rows)
        ids = self.rows["id"].to_numpy(dtype=object)
        batches.remove()
        return Answers(ids, p, found.logits[:, 0], found.logits[:, 1], found.log_total, shift, together, self.key)

    def _content_free(self) -> list[Tokens]:
        """The tokens of prompts about texts that say nothing; of an empty prompt there are none."""
        prompts = self.prompt.every(self.source.tokenizer, CONTENT_FREE, CONTENT_FREE)
        whole = [prompt for prompt in prompts if prompt.strip()]
        return self._encode(whole, ["a text that says nothing"] * len(whole))

    def _encode(self, prompts: list[str], names: Sequence[str]) -> list[Tokens]:
        """Token ids of prompts, after what the tokenizer begins a text with: a template writes that itself."""
        tokenizer = self.source.tokenizer
        plain, _ = tokenize(tokenizer, prompts, None, lambda row: names[row], special_tokens=False)
        if self.prompt.template is not None or not prompts:
            return plain
        start = beginning(tokenizer, prompts[0])
        return [np.concatenate([start, row]) for row in plain]


def _log_odds(found: NextToken) -> NDArray[np.float64]:
    return np.asarray(found.logits[:, 1] - found.logits[:, 0])
