"""What a causal model itself says about rows: asked once, and kept under all that decides the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from extract.asking import Asking
from extract.asking.adjusting import bias
from extract.asking.label_words import WORDS
from extract.asking.prompts import PATTERN
from extract.asking.shots import Shot
from extract.models.source import ModelSource
from extract.tasks import find_task

from ..lessons.lesson import Scores
from ..lessons.result_cache import Arrays, Record, ResultCache
from ..recipe.asking import PRIOR, AskedAs
from ..recipe.schema import Recipe

ANSWERS = "answers"  # kind of theirs in the cache
SAID = "said"  # name of the share of the two words in the probability of a next token


@dataclass(frozen=True)
class Opinions:
    """A model that can be asked, and how it is."""

    source: ModelSource
    asked: AskedAs  # with the answers of one task
    cache: ResultCache

    @property
    def description(self) -> dict[str, Any]:
        """All that decides the answers beside the rows and the shots."""
        return {"weights": self.source.weights, "asked": self.asked.model_dump(mode="json")}

    def plan(self, rows: pd.DataFrame, shots: Sequence[Shot] = ()) -> Asking:
        """The plan of asking about rows (id, text); InputError where the model cannot be asked so."""
        asked, free = self.asked, "content-free"
        words = asked.answers if isinstance(asked.answers, list) else list(WORDS)
        return Asking.plan(
            self.source,
            rows,
            answers=(words[0], words[1]),
            prompt=asked.prompt or PATTERN,
            shots=shots,
            calibrate=free if asked.calibrate == free else None,
            chat_template=asked.chat_template,
        )

    def of(self, sets: Mapping[str, pd.DataFrame], shots: Sequence[Shot] = ()) -> tuple[Scores, float]:
        """P(label = 1) of the rows of each set, and the share of the two words in a next token's probability.

        `train` is among the sets: where the mean answer is taken off, it is that over the training rows.
        """
        every = pd.concat([table[["id", "text"]] for table in sets.values()])
        every = every.drop_duplicates("id").sort_values("id").reset_index(drop=True)
        plan = self.plan(every, shots)

        def make() -> tuple[Arrays, Record]:
            found = plan.run()
            return {"log_odds": found.log_odds, SAID: found.said}, {"shift": found.shift}

        arrays, record = self.cache.get(ANSWERS, plan.identity, make)
        log_odds = pd.Series(arrays["log_odds"], index=every["id"])
        shift = float(record["shift"])
        if self.asked.calibrate == "prior":
            shift = bias(np.asarray(log_odds[sets["train"]["id"]], dtype=np.float64))
        scores = {name: np.asarray(expit(log_odds[table["id"]].to_numpy() - shift)) for name, table in sets.items()}
        return scores, float(arrays[SAID].mean())


def asked_in(recipe: Recipe, task: str) -> AskedAs:
    """How the rows of a task, by its short name, are asked about."""
    names = {Path(name).stem: name for name in recipe.data.tasks}
    return recipe.asking.of(task, find_task(names[task])[1].label_names if task in names else None)


def refuse_unasked(recipe: Recipe, methods: Sequence[str], find: Any) -> None:
    """InputError where a model that is asked has no language-model head, or does not know the answers of a task."""
    models = [recipe.weak.model] if recipe.weak.kind == "prior" else []
    models += [recipe.strong.model] if any(name.startswith(PRIOR) for name in methods) else []
    for model in models:
        for name in recipe.data.tasks:
            task = Path(name).stem
            asked = Opinions(find(model), asked_in(recipe, task), ResultCache(Path()))
            asked.plan(pd.DataFrame({"id": ["a row"], "text": ["a text"]}))
