"""The models whose logits are fused, what each says of the label words, and how strongly each row is moved."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from extract.asking import Asking
from extract.asking.same_models import TUNED_FROM, refuse_other_architecture, refuse_other_vocabulary
from extract.models.source import ModelSource
from w2s_probes.code_hashes import code_hash
from w2s_probes.errors import InputError
from w2s_probes.fusion import FusedExperts, fuse_experts

from ..lessons.result_cache import Arrays, Record, ResultCache
from ..recipe.asking import AskedAs
from ..recipe.fusion import Fusion, is_fusion
from ..recipe.schema import Recipe
from .opinions import Opinions, asked_in, in_one_dtype

FUSIONS = "fusions"  # kind of those over the whole vocabulary in the cache
BLOCK = 1 << 28  # bytes of the logits of a block of rows, and of what the search for α makes of them
COPIES = 10  # of one model's logits, in that search


@dataclass(frozen=True, eq=False)
class FusedRows:
    """What was found for n rows; log-odds are those of label 1, of the two words alone."""

    strong: NDArray[np.float64]  # (n,) log-odds
    base: NDArray[np.float64]
    tuned: NDArray[np.float64]  # of the expert that the row takes
    alpha: NDArray[np.float64]  # (n,) by the KL-constrained problem
    loss: NDArray[np.float64]
    expert: NDArray[np.int64]  # its number, from 0

    @property
    def change(self) -> NDArray[np.float64]:
        """What tuning has changed in the small model's log-odds (n,)."""
        return self.tuned - self.base

    def log_odds(self, alpha: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """The fused log-odds (n,) at this α: a tilt by α δ leaves the two words' odds moved by α times theirs."""
        return np.asarray(self.strong + alpha * self.change)

    def of(self, places: NDArray[np.intp]) -> "FusedRows":
        """Those of some rows."""
        return FusedRows(**{name: values[places] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Fusing:
    """A strong model, a small one before its tuning and after one or several, all asked in the same words."""

    strong: Opinions
    base: Opinions
    experts: tuple[Opinions, ...]
    settings: Fusion

    @property
    def models(self) -> list[Opinions]:
        """All of them."""
        return [self.strong, self.base, *self.experts]

    @property
    def description(self) -> dict[str, Any]:
        """All that decides what is found beside the rows."""
        settings = self.settings.model_dump(mode="json", exclude={"base", "experts"})
        return {"models": [model.description for model in self.models], "fusion": settings}

    def of(self, sets: Mapping[str, pd.DataFrame]) -> dict[str, FusedRows]:
        """What is found for the rows (id, text) of each set."""
        every = pd.concat([table[["id", "text"]] for table in sets.values()])
        every = every.drop_duplicates("id").sort_values("id").reset_index(drop=True)
        self.refuse_unlike()
        found = self._over_labels(every) if self.settings.over == "labels" else self._over_vocabulary(every)
        at = pd.Series(np.arange(len(every)), index=every["id"])
        return {name: found.of(at[table["id"]].to_numpy()) for name, table in sets.items()}

    def refuse_unlike(self, *, untrained: bool = False) -> None:
        """InputError for models that cannot be fused, and where a tuned one is asked otherwise than its base.

        Of a model that is yet to be tuned (`untrained`) its base stands for it.
        """
        sample = pd.DataFrame({"id": ["a row"], "text": ["a text"]})
        plans = [model.plan(sample) for model in self.models]
        for plan in [] if untrained else plans[2:]:
            refuse_other_architecture(plans[1].source, plan.source)
            refuse_other_vocabulary(plans[1].source, plan.source, TUNED_FROM)
            if _template(plan) != _template(plans[1]):
                raise InputError(
                    f"expert {plan.source.name} and its base {plans[1].source.name} have other chat templates, and "
                    "what these change is no tuning: give asking.chat_template, a Jinja file or 'none'"
                )
            _refuse_other_words(plans[1], plan, TUNED_FROM)
        if self.settings.over == "vocabulary":
            for plan in plans[1:]:
                refuse_other_vocabulary(plans[0].source, plan.source)
                _refuse_other_words(plans[0], plan, "give asking.chat_template, or fusion.over = 'labels'")

    def _over_labels(self, rows: pd.DataFrame) -> FusedRows:
        odds = [model.logits({"rows": rows})["rows"].log_odds for model in self.models]
        return _chosen(odds, self._fused(odds))

    def _over_vocabulary(self, rows: pd.DataFrame) -> FusedRows:
        """α over all tokens, from blocks of rows; kept as a few numbers a row."""
        plans = [model.plan(rows) for model in self.models]

        def make() -> tuple[Arrays, Record]:
            parts = [_chosen(odds, fused) for odds, fused in self._blocks(rows, plans)]
            return {name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])}, {}

        settings = self.description["fusion"] | {"code": code_hash(fuse_experts)}
        described = {"models": [plan.identity for plan in plans], "fusion": settings}
        return FusedRows(**self.strong.cache.get(FUSIONS, described, make)[0])

    def _blocks(
        self, rows: pd.DataFrame, plans: list[Asking]
    ) -> Iterator[tuple[list[NDArray[np.float64]], FusedExperts]]:
        """The two words' log-odds by each model, and what was fused, of block after block of rows."""
        tokens = min(plan.source.vocabulary for plan in plans)
        at_once = max(1, BLOCK // (8 * tokens * (len(plans) + COPIES)))
        for block in zip(*(model.vocabulary(rows, at_once=at_once) for model in self.models), strict=True):
            logits = [np.asarray(of_model[:, :tokens], dtype=np.float64) for of_model in block]
            words = [[word.token for word in plan.words] for plan in plans]
            odds = [found[:, one] - found[:, zero] for found, (zero, one) in zip(logits, words, strict=True)]
            yield odds, self._fused(logits)

    def _fused(self, logits: list[NDArray[np.float64]]) -> FusedExperts:
        strong, base, *tuned = logits
        return fuse_experts(strong, base, tuned, top=self.settings.top, solver=self.settings.solver)


def fused_models(
    recipe: Recipe, opinions: Callable[[str], Opinions], tuned: Opinions | None, asked: AskedAs
) -> Fusing | None:
    """The models of a recipe's fusion; None where no method fuses, and where there is no tuned model yet.

    Nothing is taken off their logits: `calibrate` is for methods that ask one model.
    """
    settings = recipe.fusion
    base = settings.base or recipe.weak.model
    experts = [opinions(name) for name in settings.experts] or ([] if tuned is None else [tuned])
    if not any(map(is_fusion, recipe.methods)) or base is None or not experts:
        return None
    plain = asked.model_copy(update={"calibrate": None})
    named = [opinions(recipe.strong.model), opinions(base), *experts]
    strong, small, *others = [replace(model, asked=plain) for model in named]
    small, *others = in_one_dtype(small, *others)
    return Fusing(strong, small, tuple(others), settings)


def refuse_unfused(recipe: Recipe, find: Callable[[str], ModelSource]) -> None:
    """InputError, before anything is trained, for models of a recipe's fusion that cannot be fused.

    A supervisor that is yet to be trained will be as its base is.
    """
    for name in recipe.data.tasks:
        asked = asked_in(recipe, Path(name).stem)

        def opinions(model: str, asked: AskedAs = asked) -> Opinions:
            return Opinions(find(model), asked, ResultCache(Path()))

        base = recipe.fusion.base or recipe.weak.model
        found = fused_models(recipe, opinions, None if base is None else opinions(base), asked)
        if found is not None:
            found.refuse_unlike(untrained=not recipe.fusion.experts)


def _chosen(odds: list[NDArray[np.float64]], fused: FusedExperts) -> FusedRows:
    strong, base, *tuned = odds
    own = np.stack(tuned)[fused.expert, np.arange(len(fused.expert))]
    return FusedRows(strong, base, own, fused.alpha, fused.loss, fused.expert.astype(np.int64))


def _refuse_other_words(first: Asking, second: Asking, remedy: str) -> None:
    if [word.token for word in first.words] != [word.token for word in second.words]:
        raise InputError(
            f"models {first.source.name} and {second.source.name} spell the answers differently after their prompts: "
            f"{remedy}"
        )


def _template(plan: Asking) -> str | None:
    return None if plan.prompt.template is None else plan.prompt.template.source
