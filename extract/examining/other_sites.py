"""Other sites of the model that a store is examined by: the stream, and what attention and MLP add to it."""

from collections.abc import Iterator

from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.errors import InputError

from ..forward.block_parts import parts_read
from ..forward.engine import Engine
from ..forward.trace import ActivationReader, PartReader
from ..site import SiteName
from .subject import Subject

OF_THE_STREAM: tuple[SiteName, ...] = ("residual", "attention", "mlp")  # logits have other widths


def other_sites(subject: Subject, engine: Engine, tokens: Tokens) -> Iterator[tuple[str, ActivationReader]]:
    """The sites that the store does not say, of those that its model has, and what reads them.

    `tokens` are those of one row, on which the parts of the blocks are looked for.
    """
    model, path, layers = engine.reader.model, subject.source.block_path, range(1, subject.source.depth + 1)
    for site in OF_THE_STREAM:
        if subject.site.tokens or site == subject.site.name:
            continue
        if site == "residual":
            yield site, ActivationReader(model, path)
            continue
        reader = PartReader(model, path)
        engine.restore()
        try:
            reader.parts = parts_read(model, path, site, layers, tokens.tolist(), engine.device)
        except InputError:  # its blocks have no such parts
            continue
        yield site, reader
