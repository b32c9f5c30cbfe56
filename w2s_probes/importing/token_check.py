"""Whether a file's tokens are those that the model's tokenizer gives for the row's text."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Tokenize = Callable[[Sequence[str], Sequence[str]], Sequence[Sequence[int] | NDArray[Any]]]  # by ids and texts


def refuse_other_tokens(
    where: str, name: str, own: Sequence[int] | NDArray[Any], ids: NDArray[np.int64] | None, count: int | None
) -> None:
    """InputError naming the row whose file has other tokens, or another number of them, than the tokenizer gives."""
    if ids is not None:
        count = len(ids)
    if count is not None and count != len(own):
        raise InputError(
            f"{where}: row {name!r} has {count} tokens there, and the tokenizer gives {len(own)}: was it cut, served "
            "from a prefix cache, or made through a chat template (--chat-template)?"
        )
    if ids is not None and not np.array_equal(ids, own):
        at = int((ids != np.asarray(own)).argmax())
        raise InputError(
            f"{where}: row {name!r}: token {at + 1} is {ids[at]} there, and the tokenizer gives {own[at]}: of another "
            "row or another tokenizer"
        )
