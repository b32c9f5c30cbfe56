"""Sites: what is read of each block. Their names, and the tokens of `logits:TOKENS`; nothing here needs a model."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from w2s_probes.errors import InputError, did_you_mean
from w2s_probes.io.plain_values import refuse_no_utf8
from w2s_probes.store.layers import LayerSpec, parse_layers

from .asking.label_words import spelled_after

if TYPE_CHECKING:
    from .encoding import Encoding
    from .models.source import ModelSource

SiteName = Literal["residual", "attention", "mlp", "logits"]
NUMBERED = re.compile("#([0-9]+)")
BEFORE = "Answer:"  # what the words of `logits:` follow where no template says it
MOST_TOKENS = 10_000


@dataclass(frozen=True)
class Site:
    """What is read at layer i: the residual stream after block i, what a part of it adds, or logits of some tokens."""

    name: SiteName = "residual"
    tokens: tuple[int, ...] = ()  # of logits, in the order of the store's columns

    @property
    def spelled(self) -> str:
        """As `--site` takes it, with tokens by their ids: `logits:#9693,#2201`."""
        return self.name + (":" + ",".join(f"#{token}" for token in self.tokens) if self.tokens else "")

    @property
    def identity(self) -> dict[str, str]:
        """The field of a store's identity; none for the residual stream, which stores held before there were others."""
        return {} if self.name == "residual" else {"site": self.spelled}

    @property
    def first_layer(self) -> int:
        """The first layer that has the site: 0, the embedding output, has no attention and no MLP."""
        return 1 if self.name in ("attention", "mlp") else 0

    def width(self, stream: int) -> int:
        """The numbers of a vector, in a model whose residual stream has this many."""
        return len(self.tokens) or stream

    def module(self, blocks: str, layer: int) -> str:
        """What is read at a layer, in the words of a manifest."""
        module = f"{blocks}.{layer - 1}" if layer else f"input of {blocks}.0"
        return module if self.name == "residual" else f"{self.name} of {module}"

    def refuse_elsewhere(self, what: str) -> None:
        """InputError unless it is the residual stream, which alone `what` can read."""
        if self.name != "residual":
            raise InputError(f"{what} reads the residual stream alone, not --site {self.spelled[:60]}: leave one out")


RESIDUAL = Site()


def site_parts(named: str) -> tuple[SiteName, list[str]]:
    """The name and, of `logits:TOKENS`, the tokens as they are spelled; InputError for anything else.

    >>> site_parts("logits:yes, no,#17")
    ('logits', ['yes', 'no', '#17'])
    """
    refuse_no_utf8(named, "site")
    name, colon, rest = named.partition(":")
    if name not in get_args(SiteName):
        raise InputError(f"site {named[:60]!r}: {did_you_mean(name, get_args(SiteName))}")
    tokens = [token.strip() for token in rest.split(",")] if colon else []
    if name != "logits" and colon:
        raise InputError(f"site {named[:60]!r}: {name} has no tokens: give --site {name}")
    if name == "logits" and (not tokens or not all(tokens)):
        raise InputError(f"site {named[:60]!r}: say which tokens, such as logits:yes,no or, by ids, logits:#17,#4")
    if len(tokens) > MOST_TOKENS:
        raise InputError(f"site logits: {len(tokens)} tokens, at most {MOST_TOKENS} can be read")
    return cast(SiteName, name), tokens


def site_of(named: str, source: "ModelSource", encoding: "Encoding") -> Site:
    """The site of this name for a model; InputError for a word of `logits:` that is not one token of its tokenizer.

    Words are spelled as they follow what the model reads, the end of the chat template or of a text, as the label
    words of `w2s ask` are: with a leading space where each is one token so.
    """
    name, spelled = site_parts(named)
    if name != "logits":
        return Site(name)
    words = [word for word in spelled if not NUMBERED.fullmatch(word)]
    after = encoding.template.rendering if encoding.template is not None else BEFORE
    known = dict(zip(words, _word_tokens(source, words, after), strict=True)) if words else {}
    tokens = [known[word] if word in known else int(word.removeprefix("#")) for word in spelled]
    for word, token in zip(spelled, tokens, strict=True):
        if token >= source.vocabulary:
            raise InputError(f"site logits: token {word}, and {source.name} knows {source.vocabulary}, from 0")
        if (first := tokens.index(token)) != (last := len(tokens) - 1 - tokens[::-1].index(token)):
            raise InputError(f"site logits: {spelled[first]!r} and {spelled[last]!r} are one token: name it once")
    return Site("logits", tuple(tokens))


def layers_of(site: Site, layers: LayerSpec, depth: int) -> list[int]:
    """The layers that a specification names of those that have the site: without 0 where that has none, for `all`."""
    chosen = parse_layers(layers, depth)
    if site.first_layer and layers == "all":
        return chosen[site.first_layer :]
    if chosen[0] < site.first_layer:
        raise InputError(
            f"layer 0 is the embedding output, which has no site {site.name}: give --layers from 1 to {depth}"
        )
    return chosen


def site_of_identity(identity: dict[str, Any]) -> Site:
    """The site of a store, by its identity."""
    name, tokens = site_parts(str(identity.get("site", "residual")))
    return Site(name, tuple(int(token.removeprefix("#")) for token in tokens))


def _word_tokens(source: "ModelSource", words: list[str], after: str) -> list[int]:
    tokenizer = source.tokenizer
    _, tokens = spelled_after(tokenizer, words, after)
    for word, ids in zip(words, tokens, strict=True):
        if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
            pieces = ", ".join(map(repr, tokenizer.convert_ids_to_tokens(ids[:6])))
            what = f"is {len(ids)} tokens of {source.name} ({pieces})" if len(ids) > 1 else "is not in its vocabulary"
            raise InputError(
                f"site logits: {word!r} {what}, and logits are of single tokens: give other words, or #ID for an id"
            )
        # Where a word and what stands before it are one unknown token together, what follows them seems to be the word.
        if (said := str(tokenizer.decode(ids)).strip()).casefold() != word.casefold():
            raise InputError(
                f"site logits: {word!r} is no token of {source.name}, which reads {said!r}: give #ID for an id"
            )
    return [int(ids[0]) for ids in tokens]
