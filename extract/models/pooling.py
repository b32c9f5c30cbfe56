"""The token that a model's own training lets stand for a text, and the option to type where another was asked for."""

from pathlib import Path
from typing import Any

from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

from w2s_probes.errors import InputError
from w2s_probes.io.json_files import read_json

from ..encoding import Encoding
from ..forward.trace import Position
from .checkpoints import POOLING
from .source import ModelSource, auto_class

# As sentence-transformers names its ways to pool; the others (max, weighted means) are no position of a store.
MODES: dict[str, Position] = {"cls": "first", "mean": "mean", "lasttoken": "last"}
OLD_MODES = {"cls_token": "cls", "mean_tokens": "mean", "max_tokens": "max", "mean_sqrt_len_tokens": "mean_sqrt_len"}
READS: dict[Position, str] = {"first": "the first token", "mean": "the mean of all tokens", "last": "the last token"}


def position_remarks(
    source: ModelSource, position: str, encoding: Encoding | None = None, *, option: str = "--position {}"
) -> list[str]:
    """Remarks against reading this model at `position`, with the option to give instead; [] where there are none.

    A sentence-transformers checkpoint says how it pools. Of an encoder the last token may be one that closes every
    text, and of a causal model the first one has read nothing. Position `all` holds every answer, and a marked
    one is the user's own. `encoding` is how
    texts become tokens, without a template unless given; `option` is what to type, with {} for the other position.
    """
    if position not in READS:
        return []
    modes = pooling_modes(source.folder)
    if modes:
        return _against_pooling(source, position, modes, encoding, option)
    if position == "last" and reads_both_ways(source) and (closing := _closing_token(source, encoding)):
        return [
            f"model {source.name}: an encoder, and position last reads {closing!r}, which closes every text: "
            f"{option.format('mean')} takes the mean of all tokens"
        ]
    if position == "first" and reads_leftwards(source):
        return [
            f"model {source.name}: causal, so the token that position first reads has seen nothing of the text after "
            f"it: {option.format('last')} reads the one that has seen all of it"
        ]
    return []


def _against_pooling(
    source: ModelSource, position: str, modes: list[str], encoding: Encoding | None, option: str
) -> list[str]:
    trained = [MODES[mode] for mode in modes if mode in MODES]
    if position in trained:
        return []
    if not trained:
        return [f"model {source.name}: pools by {' and '.join(modes)} ({POOLING}), which no --position does"]
    reads = " and ".join(READS[place] for place in trained)
    closing = _closing_token(source, encoding) if position == "last" and reads_both_ways(source) else ""
    asked = f"reads {closing!r} in every text" if closing else "was asked for"
    return [
        f"model {source.name}: its own pooling is {reads} ({POOLING}), and position {position} {asked}: "
        f"{option.format(trained[0])} is what it was trained for"
    ]


def pooling_modes(folder: Path) -> list[str]:
    """The pooling of a sentence-transformers checkpoint, by its own names (`mean`, `cls`, ...); [] without a file."""
    file = folder / POOLING
    if not file.is_file():
        return []
    try:
        settings = read_json(file)
    except InputError:
        return []  # a remark's source; nothing else reads it
    if not isinstance(settings, dict):
        return []
    named = settings.get("pooling_mode")  # as newer versions write it
    if isinstance(named, str | list | tuple) and named:
        return [named] if isinstance(named, str) else [str(mode) for mode in named]
    flags = (name.removeprefix("pooling_mode_") for name, on in settings.items() if on is True)
    return [OLD_MODES.get(name, name) for name in flags if f"pooling_mode_{name}" in settings]


def reads_both_ways(source: ModelSource) -> bool:
    """Whether each token of the model sees those after it: encoders, and what is read of encoder-decoders."""
    config: Any = source.config
    if getattr(config, "is_decoder", False) and not getattr(config, "is_encoder_decoder", False):
        return False
    known = type(config) in MODEL_FOR_MASKED_LM_MAPPING or "TextEncoding" in auto_class(config).__name__
    return known or bool(getattr(config, "is_encoder_decoder", False))


def reads_leftwards(source: ModelSource) -> bool:
    """Whether each token of the model sees only those before it, as far as its kind tells."""
    config: Any = source.config
    return (
        type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
        and not reads_both_ways(source)
        and getattr(config, "is_causal", True) is not False
    )


def _closing_token(source: ModelSource, encoding: Encoding | None) -> str:
    """The special token that ends every text; empty where texts end in their own, or nothing can tokenize them."""
    try:
        tokenizer = source.tokenizer
        encoding = encoding or Encoding.plan(source, None, "right", None)
        ends = {int(row[-1]) for row in encoding.encode(tokenizer, ["a", "b"], ["a", "to be"]).rows}
    except InputError:
        return ""
    (end, *others) = ends
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    return str(tokenizer.convert_ids_to_tokens(end)) if not others and end in special else ""
