"""The texts of a fine-tuning as tokens, cut to what the model reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...checkpoints.tokens import refuse_unknown_tokens, token_limit
from ...losses import ExplicitConflict
from ..stopping import Criterion
from ..texts import Texts, Tokenized, tokenize
from .classifier import Checkpoint
from .label_speaker import Says
from .settings import FineTuning


@dataclass(frozen=True)
class TokenSets:
    """The texts of a fine-tuning as tokens, by what they are for."""

    train: Tokenized
    soft: NDArray[np.float64]  # (n,) P(label = 1) of the training texts
    weight: NDArray[np.float32] | None  # (n,) of their losses
    conflict: ExplicitConflict | None  # added to their loss
    val: Tokenized | None
    judge: Criterion | None  # by the validation labels; None where they cannot judge
    predict: dict[str, Tokenized]

    @classmethod
    def tokenized(
        cls,
        checkpoint: Checkpoint,
        model: Any,
        train: Texts,
        val: Texts | None,
        predict: Mapping[str, Sequence[str]],
        settings: FineTuning,
        says: Says | None = None,
    ) -> "TokenSets":
        """Tokenize every text to the limit of settings and model; InputError for texts that the model cannot read.

        A model that `says` labels reads their prompts, which are not cut.
        """
        limit = token_limit(checkpoint.tokenizer, settings.max_length, checkpoint.window(model))
        known = int(model.get_input_embeddings().weight.shape[0])

        def tokenized(texts: Sequence[str], what: str) -> Tokenized:
            if says is None:
                result = tokenize(checkpoint.tokenizer, texts, limit, what)
            else:
                prompts = says.tokens(texts, what)
                result = Tokenized(prompts, np.array([len(row) for row in prompts], dtype=np.int64), cut=0)
            refuse_unknown_tokens(str(checkpoint.folder), result.rows, known, lambda row: f"{what}: row {row}")
            return result

        judge = None if val is None else Criterion.of(settings.stop, val.soft)
        return cls(
            tokenized(train.texts, "train"),
            train.soft,
            train.weight,
            train.conflict,
            tokenized(val.texts, "val") if val is not None and judge else None,
            judge,
            {name: tokenized(texts, f"predict {name!r}") for name, texts in predict.items()},
        )

    @property
    def by_name(self) -> dict[str, Tokenized]:
        """Every set: `train`, `val` where it can judge, and those to be predicted."""
        return {"train": self.train, **({"val": self.val} if self.val else {}), **self.predict}

    @property
    def cut(self) -> dict[str, int]:
        """The number of texts of each set that lost their end."""
        return {name: tokenized.cut for name, tokenized in self.by_name.items()}

    @property
    def tokens(self) -> set[int]:
        """The ids of all tokens that occur."""
        return {
            int(i)
            for tokenized in self.by_name.values()
            if tokenized.rows
            for i in np.unique(np.concatenate(tokenized.rows))
        }
