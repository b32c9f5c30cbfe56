"""Whether logits of several models can be fused: of one vocabulary, and of one architecture before and after."""

from typing import Any

from w2s_probes.errors import InputError

from ..models.source import ModelSource

LABELS_DO = "give models of one vocabulary, or fuse over labels alone"
TUNED_FROM = "give the model that the expert was tuned from as fusion.base, and both with one tokenizer"


def refuse_other_vocabulary(first: ModelSource, second: ModelSource, remedy: str = LABELS_DO) -> None:
    """InputError, naming the first token that differs, unless both models' logits are of the same tokens in one order.

    A table with more rows than the tokenizer has tokens is no difference: nothing is written with these.
    """
    tokens, others = _by_id(first.tokenizer), _by_id(second.tokenizer)
    differing = min((at for at in tokens.keys() | others.keys() if tokens.get(at) != others.get(at)), default=None)
    if differing is not None:
        a, b = (_shown(names.get(differing)) for names in (tokens, others))
        raise InputError(
            f"token {differing} is {a} of {first.name} and {b} of {second.name}, so their logits are of other tokens: "
            f"{remedy}"
        )
    fewer, more = sorted((first, second), key=lambda source: source.vocabulary)
    lost = min((at for at in tokens if fewer.vocabulary <= at < more.vocabulary), default=None)
    if lost is not None:
        raise InputError(
            f"token {lost} ({tokens[lost]!r}) has a logit in {more.name} and none in {fewer.name}, which knows "
            f"{fewer.vocabulary} tokens: {remedy}"
        )


def refuse_other_architecture(base: ModelSource, tuned: ModelSource) -> None:
    """InputError unless the tuned model can have been its base: the same kind, as deep and as wide, other weights."""
    of_base, of_tuned = _architecture(base), _architecture(tuned)
    if of_base != of_tuned:
        raise InputError(
            f"expert {tuned.name} is a {of_tuned}, and its base {base.name} a {of_base}: give the model that it was "
            "tuned from as fusion.base"
        )
    if base.weights == tuned.weights:
        raise InputError(f"expert {tuned.name} has the weights of its base {base.name}: tuning has changed nothing")


def _architecture(source: ModelSource) -> str:
    return f"{source.config.model_type} of {source.depth} blocks of {source.width}"


def _by_id(tokenizer: Any) -> dict[int, str]:
    return {int(at): str(token) for token, at in tokenizer.get_vocab().items()}


def _shown(token: str | None) -> str:
    return "none" if token is None else repr(token)
