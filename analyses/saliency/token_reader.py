"""Token saliency: what a probe would say of each part of a text, and which words moved it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from extract.encoding import Encoding
from extract.forward.switches import mode_of
from extract.forward.trace import Position
from extract.models.loading import Placement, load_trunk
from extract.models.source import ModelSource
from w2s_probes import ActivationStore, InputError
from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.errors import did_you_mean
from w2s_probes.probes import AttentionProbe, MLPProbe
from w2s_probes.probes.token_rows import blocks, parts
from w2s_probes.store.layers import LayerSpec
from w2s_probes.store.read_again import refuse_other_reading

from .gradients import Tracer
from .inputs import Texts, texts_by_id
from .integrated import Baseline, integrated_gradients
from .readouts import LinearProbe, Readout, TokenReadable, readout
from .token_pieces import token_pieces
from .token_result import TokenSaliencies, TokenSaliency

PART_TOKENS = 65_536  # of texts whose tokens are left out together
SAME = 1e-3  # of a vector's length: what another sequence length may change by rounding alone


@dataclass(frozen=True, eq=False, repr=False)
class TokenReader:
    """A model, loaded to be read as a store's rows were: same weights, window, template and position; in float32."""

    source: ModelSource
    encoding: Encoding
    position: Position
    tracer: Tracer
    causal: dict[int, bool]  # layer -> whether states know only what stands before them, once found out

    @classmethod
    def open(
        cls,
        model: str | ModelSource,
        store: ActivationStore,
        *,
        position: Position | None = None,
        device_map: str | None = None,
    ) -> "TokenReader":
        """Load the model that made a store. A store of every token says no position: give `position`.

        Of `all`, every token, is an attention probe's.

        InputError where model and store do not belong together.
        """
        source = ModelSource.find(model) if isinstance(model, str) else model
        made = store.manifest.identity
        refuse_other_reading(made, str(store.path), "saliency of tokens")
        if made.get("weights") != source.weights:
            raise InputError(
                f"model {source.name}: {store.path} was made by other weights ({store.manifest.notes.get('model')}): a "
                "probe means nothing on another model"
            )
        stored = str(made.get("position"))
        wanted = position or stored
        if wanted not in get_args(Position) or (wanted == "all" and position is None):
            known = list(get_args(Position))
            raise InputError(
                f"position {wanted!r}: {store.path} holds every token; give position, {did_you_mean('', known)}"
            )
        if stored not in (wanted, "all"):
            raise InputError(f"position {wanted!r}: {store.path} was made with {stored!r}, and so were its probes")
        encoding = Encoding.of_identity(made, source.tokenizer, str(store.path))
        trunk = load_trunk(source, "float32", Placement(device_map=device_map))
        at: Any = wanted
        tracer = Tracer(trunk, source.block_path, pad=source.pad, mode=mode_of(source.text_config))
        return cls(source, encoding, at, tracer, {})

    def read(
        self,
        probe: TokenReadable,
        text: str,
        *,
        layer: int,
        name: str = "text",
        hold_norms: bool = True,
        leave_out: bool = False,
        integrate: int = 0,
        baseline: Baseline = "mean",
    ) -> TokenSaliency:
        """One text, as `read_all` reads it."""
        options: dict[str, Any] = {"leave_out": leave_out, "integrate": integrate, "baseline": baseline}
        return self.read_all(probe, {name: text}, layer=layer, hold_norms=hold_norms, **options)[name]

    def read_all(
        self,
        probe: TokenReadable,
        texts: Mapping[str, str],
        *,
        layer: int,
        hold_norms: bool = True,
        leave_out: bool = False,
        integrate: int = 0,
        baseline: Baseline = "mean",
    ) -> TokenSaliencies:
        """Texts by id, as a fitted probe of a layer's activations reads them; two passes each.

        `hold_norms`: gradients take normalisations as fixed, without which gradient x input vanishes in pre-norm
        models. `leave_out`: also run each text without each of its tokens, as many rows as it has tokens; rows of
        several texts share batches. `integrate`: the steps of integrated gradients, as many passes (0: none; 32 are
        usual), from the mean embedding in every token's place, or with `baseline="zero"` from 0.
        """
        options: dict[str, Any] = {"leave_out": leave_out, "integrate": integrate, "baseline": baseline}
        return TokenSaliencies(self.read_each(probe, texts, layer=layer, hold_norms=hold_norms, **options))

    def read_each(
        self,
        probe: TokenReadable,
        texts: Mapping[str, str],
        *,
        layer: int,
        hold_norms: bool = True,
        leave_out: bool = False,
        integrate: int = 0,
        baseline: Baseline = "mean",
    ) -> Iterator[tuple[str, TokenSaliency]]:
        """Texts of `read_all`, each with its id as soon as it is read: of earlier ones nothing is kept here.

        Memory beside the texts' token ids is that of `PART_TOKENS` tokens, whose texts are left out together.
        """
        read = readout(probe, self.source.width, self.position)
        if not 0 <= layer <= self.source.depth:
            raise InputError(f"layer {layer} is outside 0..{self.source.depth}: 0 is the embedding output")
        if integrate < 0:
            raise InputError(f"integrate = {integrate}: a number of steps, such as 32, or 0 for none")
        if baseline not in get_args(Baseline):
            raise InputError(f"baseline {baseline!r}: {did_you_mean(baseline, get_args(Baseline))}")
        if not texts:
            return iter(())
        rows = self.encoding.encode(self.source.tokenizer, list(texts), list(texts.values())).rows
        names = list(texts)

        def found() -> Iterator[tuple[str, TokenSaliency]]:
            for part in parts(np.array([len(ids) for ids in rows]), PART_TOKENS if leave_out else 1):
                without = self.tracer.without_each(rows[part], layer, read) if leave_out else None
                for at in range(part.start, part.stop):
                    one = self._read(read, names[at], texts[names[at]], rows[at], layer, hold_norms)
                    if integrate:
                        way = integrated_gradients(
                            self.tracer, rows[at], layer, read, steps=integrate, baseline=baseline
                        )
                        one = replace(one, integrated=way.values, integrated_gap=way.gap)
                    if without is not None:
                        one = replace(one, left_out=one.log_odds - without[at - part.start])
                    yield names[at], one

        return found()

    def _read(self, read: Readout, name: str, text: str, ids: Tokens, layer: int, hold_norms: bool) -> TokenSaliency:
        """What two passes tell of one text."""
        traced = self.tracer.trace(ids, layer, read, hold_norms=hold_norms)
        parts = read.parts(traced.states)
        causal = self._is_causal(layer, ids, traced.states)
        # A text that ends at token t is read from the states up to t.
        prefixes = parts.prefixes if causal else np.full(len(ids), np.nan)
        return TokenSaliency(
            id=name,
            tokens=token_pieces(self.source.tokenizer, self.encoding, text, ids),
            token_ids=ids,
            layer=layer,
            position=read.position,
            causal=causal,
            log_odds=traced.log_odds,
            scores=parts.scores,
            prefixes=prefixes,
            gradient_x_input=traced.gradient_x_input,
            left_out=np.full(len(ids), np.nan),
            attention=parts.attention,
            contribution=parts.contribution,
        )

    def _is_causal(self, layer: int, ids: NDArray[np.int32], states: NDArray[np.float32]) -> bool:
        """Whether the states of a text's beginning stay what they are when it goes on; tried out, once a layer."""
        if layer not in self.causal:
            if len(ids) < 2:
                return False
            alone = self.tracer.states(ids[:-1], layer)
            change = np.linalg.norm(alone - states[:-1], axis=1)
            self.causal[layer] = bool((change <= SAME * np.linalg.norm(states[:-1], axis=1)).all())
        return self.causal[layer]

    def __repr__(self) -> str:
        return f"TokenReader({self.source.name!r}, position {self.position}, depth {self.source.depth})"


def token_saliency(
    model: str | ModelSource | TokenReader,
    store: ActivationStore,
    probe: TokenReadable,
    texts: Texts,
    *,
    layer: LayerSpec,
    position: Position | None = None,
    hold_norms: bool = True,
    leave_out: bool = False,
    integrate: int = 0,
    baseline: Baseline = "mean",
) -> "TokenSaliencies":
    """Read texts token by token with a probe that was fitted on a layer of a store; by id.

    `texts`: one text (its id is `text`), a list of them (`text-0`, ...), a mapping or table by id, or a row file.

    `model` is what made the store (checked), or a `TokenReader` that has it loaded, whose `read_all` says what
    the options mean. Probes are logistic, mean difference, MLP (by its slope at the text) or attention, which reads
    every token, whatever the reader's position. InputError for layers that are not stored, other weights, probes that
    are not fitted or of another kind, texts without tokens, and what is no text.
    """
    number = store.resolve(layer)
    if position is None and isinstance(probe, AttentionProbe):
        position = "all"
    reader = model if isinstance(model, TokenReader) else TokenReader.open(model, store, position=position)
    options: dict[str, Any] = {"leave_out": leave_out, "integrate": integrate, "baseline": baseline}
    return reader.read_all(probe, texts_by_id(texts), layer=number, hold_norms=hold_norms, **options)


def stored_token_scores(
    store: ActivationStore, probe: LinearProbe | MLPProbe, *, layer: LayerSpec, ids: list[str] | None = None
) -> pd.DataFrame:
    """Log-odds of every token of some rows (all) of a store made with position `all`: no model is run.

    `id`, `position`, `token_id`, `score`: the probe on each token's own activation. Of activations no more than a few
    rows' are in memory.
    """
    return pd.concat(list(stored_token_score_parts(store, probe, layer=layer, ids=ids)), ignore_index=True)


def stored_token_score_parts(
    store: ActivationStore, probe: LinearProbe | MLPProbe, *, layer: LayerSpec, ids: list[str] | None = None
) -> Iterator[pd.DataFrame]:
    """The lines of `stored_token_scores`, some rows at a time: memory does not grow with the tokens."""
    read, tokens = readout(probe, store.manifest.width, "last"), store.stored_tokens(layer, ids=ids)

    def found() -> Iterator[pd.DataFrame]:
        for _, block in blocks(tokens):
            lengths = np.diff(block.offsets)
            yield pd.DataFrame(
                {
                    "id": np.repeat(np.asarray(block.ids), lengths),
                    "position": np.arange(len(block.token_ids)) - np.repeat(block.offsets[:-1], lengths),
                    "token_id": block.token_ids,
                    "score": read.parts(block.values).scores,
                }
            )

    return found()
