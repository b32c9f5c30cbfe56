"""Texts that a causal model writes on: conversations as prompts, and one uniform number for each token."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import GenerationConfig

from w2s_probes.checkpoints.tokens import Tokens, tokenize
from w2s_probes.errors import InputError
from w2s_probes.progress import RowProgress, RowsRead, silent

from ..asking.label_words import beginning
from ..models.loading import Placement, refuse_speechless
from ..models.source import ModelSource
from ..templates import Template, find_template
from .draws import uniforms
from .generator import TextGenerator
from .sampling import Sampling, refuse_sampling

BETWEEN = "\n\n"  # messages of plain text


@dataclass(frozen=True)
class Generation:
    """What a model wrote."""

    text: str  # without special tokens, and white space at either end
    tokens: int  # without the one that ended it
    cut: bool  # ended by the limit, not by a token of the model's


def generate(
    source: ModelSource | str,
    conversations: Sequence[Sequence[str]],
    streams: Sequence[np.random.Generator],
    *,
    max_new_tokens: int = 128,
    temperature: float = 1.0,
    top_p: float = 1.0,
    template: str | None = None,
    names: Sequence[str] | None = None,
    dtype: str = "auto",
    quantization: str | None = None,
    placement: Placement | None = None,
    progress: RowProgress = silent,
) -> list[Generation]:
    """What the model says at the end of each conversation (n): messages of the user's and its own by turns.

    Each token is drawn by the next uniform number of its row's stream, so that a row's text does not depend on other
    rows, on their order or on batches, but for the last bits of logits where a draw falls between two tokens. Ends of
    text are the tokens that the model's generation config names, or its tokenizer's; nothing else of that config is
    followed. `template` is "own", a Jinja file, or "none" for plain text; the tokenizer's own where it has one, unless
    given. InputError for a model without a language-model head, and for prompts that do not leave `max_new_tokens` in
    the model's window, before weights are read.
    """
    refuse_sampling(temperature, top_p, max_new_tokens)
    source = ModelSource.find(source) if isinstance(source, str) else source
    refuse_speechless(source, "write")
    rows = [str(at) for at in range(len(conversations))] if names is None else list(names)
    prompts = encode_prompts(source, find_template(source.tokenizer, source.name, template), conversations, rows)
    refuse_long(source, [len(prompt) for prompt in prompts], rows, max_new_tokens)
    draws = uniforms(streams, max_new_tokens)
    stored = source.stored_dtype(dtype)
    generator = TextGenerator(source, dtype=stored, quantization=quantization, placement=placement)
    sampling = Sampling(temperature, top_p, end_tokens(source))
    found: dict[int, Generation] = {}
    done = RowsRead(0, len(prompts))
    for batch in generated(generator, prompts, draws, [max_new_tokens] * len(prompts), rows, sampling):
        found |= batch
        new = sum(generation.tokens for generation in batch.values())
        done = replace(done, rows=done.rows + len(batch), tokens=done.tokens + new)
        progress(done)
    return [found[row] for row in range(len(prompts))]


def generated(
    generator: TextGenerator,
    prompts: Sequence[Tokens],
    draws: NDArray[np.float64],
    limits: Sequence[int],
    names: Sequence[str],
    sampling: Sampling,
) -> Iterator[dict[int, Generation]]:
    """A loaded model's texts by row, a batch at a time."""
    for rows, tokens in generator.write(prompts, draws, limits, names, sampling):
        yield {
            row: _generation(generator.source.tokenizer, ids, sampling.ends)
            for row, ids in zip(rows, tokens, strict=True)
        }


def _generation(tokenizer: Any, ids: NDArray[np.int64], ends: tuple[int, ...]) -> Generation:
    cut = not len(ids) or int(ids[-1]) not in ends
    said = ids if cut else ids[:-1]
    return Generation(tokenizer.decode(said.tolist(), skip_special_tokens=True).strip(), len(said), cut)


def encode_prompts(
    source: ModelSource, template: Template | None, conversations: Sequence[Sequence[str]], names: Sequence[str]
) -> list[Tokens]:
    """The token ids of conversations (n), the model's next message to come; as plain text their messages alone."""
    tokenizer = source.tokenizer
    if template is not None:
        template.refuse_changed(tokenizer)
    texts = [_rendered(tokenizer, template, talk, name) for talk, name in zip(conversations, names, strict=True)]
    plain, _ = tokenize(tokenizer, texts, None, lambda row: f"row {names[row]!r}", special_tokens=False)
    if template is not None or not texts:
        return plain
    start = beginning(tokenizer, texts[0])
    return [np.concatenate([start, row]) for row in plain]


def _rendered(tokenizer: Any, template: Template | None, messages: Sequence[str], name: str) -> str:
    if template is None:
        return BETWEEN.join(messages)
    earlier = list(zip(messages[:-1:2], messages[1::2], strict=True))
    return template.render(tokenizer, messages[-1], f"row {name!r}", before=earlier)


def end_tokens(source: ModelSource) -> tuple[int, ...]:
    """The tokens that end a text: by the model's generation config, or else by its config or tokenizer."""
    try:
        named = GenerationConfig.from_pretrained(source.folder).eos_token_id
    except (OSError, ValueError):  # there is none, or it is no JSON that it reads
        named = None
    if named is None:
        named = getattr(source.text_config, "eos_token_id", None)
    if named is None:
        named = source.tokenizer.eos_token_id
    every = named if isinstance(named, list | tuple) else [named]
    return tuple(sorted(int(token) for token in every if token is not None))


def refuse_long(source: ModelSource, lengths: Sequence[int], names: Sequence[str], room: int) -> None:
    """InputError where a prompt of one of these lengths leaves no room for as many new tokens in the window."""
    limit = source.window
    long = [at for at, length in enumerate(lengths) if limit is not None and length + room > limit]
    if long:
        raise InputError(
            f"row {names[long[0]]!r} with its prompt is {lengths[long[0]]} tokens, {room} are to be added, and "
            f"{source.name} reads {limit} ({len(long)} such rows among {len(names)}): shorten or drop them, or lower "
            "--max-new-tokens or --turns"
        )
