"""What a causal model itself says about rows: asked once, and kept under all that decides the answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from extract.asking import Asking
from extract.asking.adjusting import bias
from extract.asking.label_words import WORDS
from extract.asking.prompts import PATTERN
from extract.asking.saying import SAMPLE_ROW, Saying
from extract.asking.shots import Shot
from extract.models.source import ModelSource
from extract.tasks import find_task

from ..lessons.lesson import Scores
from ..lessons.result_cache import Arrays, Record, ResultCache
from ..recipe.asking import AskedAs
from ..recipe.schema import Recipe

ANSWERS = "answers"  # kind of theirs in the cache
LOGITS = ["logit_0", "logit_1", "log_total"]  # names of what is kept there


@dataclass(frozen=True, eq=False)
class WordLogits:
    """What a model makes of the token after each of n rows."""

    logit_0: NDArray[np.float64]  # (n,) of the label words
    logit_1: NDArray[np.float64]  # (n,)
    log_total: NDArray[np.float64]  # (n,) log of the sum of exp of every token's logit

    @property
    def log_odds(self) -> NDArray[np.float64]:
        """logit_1 - logit_0 (n,)."""
        return self.logit_1 - self.logit_0

    @property
    def said(self) -> NDArray[np.float64]:
        """The probability (n,) of the two words together."""
        return np.exp(np.logaddexp(self.logit_0, self.logit_1) - self.log_total)


@dataclass(frozen=True)
class Opinions:
    """A model that can be asked, and how it is."""

    source: ModelSource
    asked: AskedAs  # with the answers of one task
    cache: ResultCache
    dtype: str = "auto"  # that it is asked in; "auto": its own

    @property
    def description(self) -> dict[str, Any]:
        """All that decides the answers beside the rows and the shots: of a chat template what it says, not its name."""
        dtype = self.source.stored_dtype(self.dtype)
        asked = {"says": self.stated.facts, "calibrate": self.asked.calibrate}
        return {"weights": self.source.weights, "dtype": dtype, **asked}

    @property
    def _said(self) -> dict[str, Any]:
        asked = self.asked
        words = asked.answers if isinstance(asked.answers, list) else list(WORDS)
        prompt, template = asked.prompt or PATTERN, asked.chat_template
        return {"answers": (words[0], words[1]), "prompt": prompt, "chat_template": template}

    @property
    def saying(self) -> Saying:
        """How the model is asked when it learns to say labels; InputError where it cannot be asked so."""
        return Saying.plan(self.source, **self._said)

    @property
    def stated(self) -> Saying:
        """How the model is asked when it learns nothing: calibrated by nothing, for any rows; InputError likewise."""
        return Saying(Asking.plan(self.source, SAMPLE_ROW, **self._said))

    def plan(self, rows: pd.DataFrame, shots: Sequence[Shot] = ()) -> Asking:
        """The plan of asking about rows (id, text); InputError where the model cannot be asked so."""
        free = "content-free"
        calibrate = free if self.asked.calibrate == free else None
        return Asking.plan(self.source, rows, shots=shots, calibrate=calibrate, dtype=self.dtype, **self._said)

    def of(self, sets: Mapping[str, pd.DataFrame], shots: Sequence[Shot] = ()) -> tuple[Scores, float]:
        """P(label = 1) of the rows of each set, and the share of the two words in a next token's probability.

        Where the mean answer is taken off, it is that over the training rows: `train` is then among the sets.
        """
        logits, shift, said = self._read(sets, shots)
        if self.asked.calibrate == "prior":
            shift = bias(logits["train"].log_odds)
        scores = {name: np.asarray(expit(found.log_odds - shift)) for name, found in logits.items()}
        return scores, said

    def logits(self, sets: Mapping[str, pd.DataFrame], shots: Sequence[Shot] = ()) -> dict[str, WordLogits]:
        """The logits of the two label words after the rows of each set, and the log-totals; calibrated by nothing."""
        return self._read(sets, shots)[0]

    def vocabulary(self, rows: pd.DataFrame, *, at_once: int = 64) -> Iterator[NDArray[np.float32]]:
        """The logits (b, vocabulary) of every token after rows (id, text), in their order, `at_once` rows a block.

        The model is loaded when the first block is asked for, and let go of after the last.
        """
        plan = self.plan(rows)
        tokens, speaker = plan.tokens, plan.speaker()
        for start in range(0, len(tokens), at_once):
            block = slice(start, start + at_once)
            yield speaker.vocabulary(tokens[block], rows["id"].tolist()[block])

    def _read(
        self, sets: Mapping[str, pd.DataFrame], shots: Sequence[Shot]
    ) -> tuple[dict[str, WordLogits], float, float]:
        """The logits, the bias that content-free prompts show, and the words' mean share in a next token."""
        every = pd.concat([table[["id", "text"]] for table in sets.values()])
        every = every.drop_duplicates("id").sort_values("id").reset_index(drop=True)
        plan = self.plan(every, shots)

        def make() -> tuple[Arrays, Record]:
            found = plan.run(kept=self.cache.path("unfinished", plan.identity).with_suffix(""))
            arrays: Arrays = {name: getattr(found, name) for name in LOGITS}
            return arrays, {"shift": found.shift}

        arrays, record = self.cache.get(ANSWERS, plan.identity | {"holds": LOGITS}, make)
        at = pd.Series(np.arange(len(every)), index=every["id"])
        places = {name: at[table["id"]].to_numpy() for name, table in sets.items()}
        logits = {name: WordLogits(*(arrays[kind][rows] for kind in LOGITS)) for name, rows in places.items()}
        return logits, float(record["shift"]), float(WordLogits(*(arrays[kind] for kind in LOGITS)).said.mean())


def in_one_dtype(*models: Opinions) -> list[Opinions]:
    """Models that are asked in the widest of their dtypes, so that their answers do not differ by rounding."""
    own = {model.source.stored_dtype(model.dtype) for model in models}
    return [replace(model, dtype=own.copy().pop() if len(own) == 1 else "float32") for model in models]


def asked_in(recipe: Recipe, task: str) -> AskedAs:
    """How the rows of a task, by its short name, are asked about."""
    names = {Path(name).stem: name for name in recipe.data.tasks}
    return recipe.asking.of(task, find_task(names[task])[1].label_names if task in names else None)
