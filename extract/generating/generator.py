"""A loaded causal model that writes on, batch by batch: each row's text is its own, whatever the batch."""

import inspect
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from w2s_probes.checkpoints.batches import batches, padded
from w2s_probes.checkpoints.tokens import Tokens, refuse_unknown_tokens
from w2s_probes.errors import InputError, whole_reason
from w2s_probes.store.dtypes import WORDS

from ..forward.causal_model import CausalModel
from ..forward.engine import cpu_tokens
from ..forward.fitting import fitting, or_no_memory
from .draws import draw
from .sampling import Sampling

STATE = "cache_params"  # of state-space models, in place of keys and values
CACHES = ("past_key_values", STATE)
LEAVE = 0.25  # of a batch's rows that are finished before they are taken out: what is left is copied
MOST_TOKENS = 1 << 18  # of a batch, prompts and new tokens
CPU_CACHE = 1 << 30  # bytes of keys and values on a processor
CPU_BATCHES = 8  # times what one pass reads there: each new token is a pass of one token a row


class TextGenerator(CausalModel):
    """Continues any number of token sequences by the model's own head, with its keys and values kept."""

    @cached_property
    def _arguments(self) -> Collection[str]:
        return inspect.signature(self.model.forward).parameters

    @cached_property
    def _told_positions(self) -> bool:
        """Whether positions are given; some families find them by the mask."""
        return "position_ids" in self._arguments

    @cached_property
    def _cache_name(self) -> str | None:
        return next((name for name in CACHES if name in self._arguments), None)

    def write(
        self,
        tokens: Sequence[Tokens],
        draws: NDArray[np.float64],
        limits: Sequence[int],
        names: Sequence[str],
        sampling: Sampling,
    ) -> Iterator[tuple[list[int], list[NDArray[np.int64]]]]:
        """Batches of rows, longest prompts first, with the new tokens of each, its end token among them.

        `draws` (rows, tokens) are uniform numbers, `limits` the most new tokens of each row. Batches that do not fit
        into memory are halved. InputError, naming the row, for logits that are not finite and for a single row that
        does not fit.
        """
        refuse_unknown_tokens(self.source.name, tokens, self.source.vocabulary, lambda row: f"row {names[row]!r}")
        lengths = [len(row) + limit for row, limit in zip(tokens, limits, strict=True)]
        for budget, rows, written in fitting(
            lengths,
            self.budget,
            lambda budget, left: self._batches(tokens, limits, left, budget),
            lambda rows: self._batch(
                [tokens[row] for row in rows],
                draws[rows],
                np.array([limits[row] for row in rows]),
                [names[row] for row in rows],
                sampling,
            ),
            lambda row: self._too_long(names[row], lengths[row], "lower --max-new-tokens, or give"),
        ):
            self.budget = budget
            yield rows, written

    def _batches(
        self, tokens: Sequence[Tokens], limits: Sequence[int], rows: Iterable[int], budget: int
    ) -> Iterator[list[int]]:
        """Rows that are read alike from their prompt to their last token, under the budget."""
        kinds: dict[Hashable, list[int]] = {}
        for row in rows:
            prompt = len(tokens[row])
            before, after = self._mode(prompt), self._mode(prompt + limits[row])
            # Rows that come to be read in another way do so together.
            alone = self._cache_name is None  # RWKV: a model without keys and values may not know padding either
            kinds.setdefault((prompt, limits[row]) if alone or before != after else before, []).append(row)
        lengths = [len(row) + limit for row, limit in zip(tokens, limits, strict=True)]
        for alike in kinds.values():
            yield from batches(lengths, budget, alike)

    @torch.inference_mode()
    def _batch(
        self,
        tokens: Sequence[Tokens],
        draws: NDArray[np.float64],
        limits: NDArray[np.int64],
        names: Sequence[str],
        sampling: Sampling,
    ) -> list[NDArray[np.int64]] | None:
        """The new tokens of one batch; None where it does not fit into memory."""

        def at_last(module: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
            return (given[0][:, -1:], *given[1:])  # over all of a prompt's tokens a large vocabulary would not fit

        self._state.restore()
        handle = self.model.get_output_embeddings().register_forward_pre_hook(at_last)
        failed = f"model {self.source.name} fails on prompts of {max(map(len, tokens))} tokens in {self._dtype}"
        try:
            return or_no_memory(
                lambda: self._continued(tokens, draws, limits, names, sampling), failed, "another --dtype or --attn"
            )
        finally:
            handle.remove()

    def _continued(
        self,
        tokens: Sequence[Tokens],
        draws: NDArray[np.float64],
        limits: NDArray[np.int64],
        names: Sequence[str],
        sampling: Sampling,
    ) -> list[NDArray[np.int64]]:
        most = int(limits.max())
        distinct, of = _distinct(tokens)  # members of a debate begin with one prompt, which is read once
        ids, mask = (part.to(self.device) for part in padded(distinct, pad=self.source.pad, left=True))
        prompt = ids.shape[1]
        mask = torch.nn.functional.pad(mask, (0, most), value=1)
        u = torch.from_numpy(draws[:, :most].astype(np.float32 if self.device.type == "mps" else np.float64))
        u = u.to(self.device)
        fed, positions = ids, _positions(mask[:, :prompt])
        rows, going = np.arange(len(tokens)), np.ones(len(tokens), dtype=bool)
        written, counts = np.zeros((len(tokens), most), dtype=np.int64), limits.copy()
        cache: Any = None
        for step in range(most):
            logits, cache = self._forward(fed, mask[:, : prompt + step], positions, cache)
            if step == 0 and len(distinct) < len(tokens):
                copies = torch.tensor(of, device=self.device)
                logits, ids, mask = logits[copies], ids[copies], mask[copies]
                if cache is not None:
                    cache.reorder_cache(copies)
            chosen = draw(logits, u[:, step], sampling.temperature, sampling.top_p)
            drawn = torch.where(logits.amax(dim=-1).isfinite(), chosen, -1).cpu().numpy()
            if (lost := going & (drawn < 0)).any():
                raise InputError(self._not_finite(f"of a token of row {names[rows[int(lost.argmax())]]!r}"))
            written[rows, step] = drawn
            ended = going & np.isin(drawn, sampling.ends)
            counts[rows[ended]] = step + 1
            going &= ~ended & (limits[rows] > step + 1)
            if not going.any():
                break
            ids = torch.cat([ids, chosen[:, None]], dim=1)
            if self._mode(prompt + step) != self._mode(prompt + step + 1) and len({len(row) for row in tokens}) == 1:
                cache = None  # what was kept has been read in the other way
            positions = _positions(mask[:, : prompt + step + 1])
            if going.mean() <= 1 - LEAVE:
                left = torch.from_numpy(np.flatnonzero(going)).to(self.device)
                ids, mask, u, positions = ids[left], mask[left], u[left], positions[left]
                if cache is not None:
                    cache.reorder_cache(left)
                rows, going = rows[going], going[going]
            if cache is not None:
                fed, positions = ids[:, -1:], positions[:, -1:]
            else:
                fed = ids
        return [tokens_of[:count] for tokens_of, count in zip(written, counts, strict=True)]

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> tuple[Tensor, Any]:
        """The next token's logits (rows, vocabulary) in float32, and keys and values; None of models without."""
        options: dict[str, Any] = {"position_ids": positions} if self._told_positions else {}
        if self._cache_name is not None:
            options |= {self._cache_name: cache, "use_cache": True}
        # A state has no padding in it, and a mask of its whole past would be taken for one of the new token.
        masked = None if self._cache_name == STATE and cache is not None else mask
        try:
            output = self.model(input_ids=ids, attention_mask=masked, **options)
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise InputError(
                f"model {self.source.name} cannot write on in batches ({whole_reason(error)}): name another one"
            ) from error
        kept = getattr(output, self._cache_name or "", None)
        # Spread over several devices, a model may answer on another one than it was asked on.
        return output.logits[:, -1].float().to(self.device), kept if hasattr(kept, "reorder_cache") else None

    def _affordable(self) -> int:
        """Tokens of a batch, prompts and new ones, whose keys and values fit into memory beside the prompts' pass."""
        config, width = self.source.text_config, self.source.width
        heads = getattr(config, "num_attention_heads", None) or 1
        shared = getattr(config, "num_key_value_heads", None) or heads
        kept = 2 * self.source.depth * shared * (getattr(config, "head_dim", None) or width // heads)
        size = WORDS[self._dtype].itemsize
        if self.device.type != "cuda":
            return max(256, min(CPU_BATCHES * cpu_tokens(width), CPU_CACHE // (kept * size)))
        free, _ = torch.cuda.mem_get_info(self.device)
        inner = max(getattr(config, "intermediate_size", None) or 0, 4 * width)
        return max(256, min(MOST_TOKENS, int(0.6 * free) // ((kept + 12 * width + 4 * inner) * size)))


def _distinct(tokens: Sequence[Tokens]) -> tuple[list[Tokens], list[int]]:
    """The different prompts among these (n), and which of them each is."""
    places: dict[bytes, int] = {}
    of = [places.setdefault(row.tobytes(), len(places)) for row in tokens]
    return [tokens[of.index(place)] for place in range(len(places))], of


def _positions(mask: Tensor) -> Tensor:
    """The position of each token (rows, length), from 0 after the padding."""
    return (mask.cumsum(dim=1) - 1).clamp(min=0)
