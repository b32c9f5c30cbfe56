"""The tokens that a model's tokenizer gives, for files of activations that say what tokens they are of."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..checkout import from_checkout

if TYPE_CHECKING:
    from ..importing.token_check import Tokenize


def tokens_by(model: str, chat_template: str | None) -> "Tokenize":
    """A function from ids and texts to tokens, as `w2s extract` makes them; torch is loaded when it is called."""
    with from_checkout():
        from extract.models.checkpoints import refuse_no_model
        from extract.options import refuse_options
    refuse_options("all", chat_template)
    refuse_no_model(model, weights=False)

    def tokens(ids: Sequence[str], texts: Sequence[str]) -> Sequence[Sequence[int]]:
        with from_checkout():
            from extract.encoding import Encoding
            from extract.models.source import ModelSource
        source = ModelSource.describe(model)
        rows = Encoding.plan(source, None, "right", chat_template).encode(source.tokenizer, ids, texts).rows
        return [row.tolist() for row in rows]

    return tokens
