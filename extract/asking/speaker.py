"""A loaded causal model that says how likely chosen tokens are next, batch by batch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from w2s_probes.checkpoints.batches import batches, padded
from w2s_probes.checkpoints.tokens import Tokens, refuse_unknown_tokens
from w2s_probes.errors import InputError
from w2s_probes.progress import silent

from ..forward.causal_model import CausalModel
from ..forward.engine import BatchProgress
from ..forward.fitting import fitting, or_no_memory
from .kept_batches import KeptBatches


@dataclass(frozen=True)
class NextToken:
    """What a model makes of the token after each of n prompts."""

    logits: NDArray[np.float64]  # (n, words) of the chosen tokens
    log_total: NDArray[np.float64]  # (n,) log of the sum of exp over the whole vocabulary


class Speaker(CausalModel):
    """Reads the next token's logits after any number of token sequences, by the model's own head."""

    def read(
        self,
        tokens: Sequence[Tokens],
        names: Sequence[str],
        words: Sequence[int],
        progress: BatchProgress = silent,
        kept: KeptBatches | None = None,
    ) -> NextToken:
        """The logits of `words` after each row of tokens; batches are halved where they do not fit into memory.

        What was `kept` of an earlier time is not read again: the batches left are those that would have followed.

        InputError, naming the row, for numbers that are not finite and for a single row that does not fit.
        """
        logits, total = np.empty((len(tokens), len(words))), np.empty(len(tokens))
        kept = kept or KeptBatches(None, "")
        with kept.going_on() as earlier:
            for row, (own, of_all) in earlier.items():
                logits[row], total[row] = own, of_all
            left = [row for row in range(len(tokens)) if row not in earlier]
            for rows, read in self._batches(tokens, names, list(words), progress, left):
                logits[rows], total[rows] = read
                kept.add(rows, logits[rows], total[rows])
        self._refuse_lost(np.isfinite(logits).all(axis=1) & np.isfinite(total), names)
        return NextToken(logits, total)

    def vocabulary(self, tokens: Sequence[Tokens], names: Sequence[str]) -> NDArray[np.float32]:
        """The logits (n, vocabulary) of every token after each row of tokens; hand it few rows, a block at a time.

        InputError as above; tokens that a model never says may have a logit of -∞.
        """
        found: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(tokens)
        for rows, (logits, _) in self._batches(tokens, names, None, silent, range(len(tokens))):
            for row, own in zip(rows, logits, strict=True):
                found[row] = own
        every = np.stack(found) if found else np.empty((0, self.source.vocabulary), dtype=np.float32)
        self._refuse_lost(~np.isnan(every).any(axis=1) & np.isfinite(every.max(axis=1, initial=-np.inf)), names)
        return every

    def _batches(
        self,
        tokens: Sequence[Tokens],
        names: Sequence[str],
        words: list[int] | None,
        progress: BatchProgress,
        of: Iterable[int],
    ) -> Iterator[tuple[list[int], tuple[NDArray[np.float32], NDArray[np.float32]]]]:
        """The rows of each batch, of these rows, with what `_forward` reads of them."""
        refuse_unknown_tokens(self.source.name, tokens, self.source.vocabulary, lambda row: f"row {names[row]!r}")
        lengths = [len(row) for row in tokens]
        for budget, rows, read in fitting(
            lengths,
            self.budget,
            lambda budget, left: batches(lengths, budget, left, self._mode),
            lambda rows: self._forward([tokens[row] for row in rows], words),
            lambda row: self._too_long(names[row], lengths[row], "give fewer shots,"),
            of,
        ):
            self.budget = budget
            yield rows, read
            progress(len(rows), sum(lengths[row] for row in rows))

    def _refuse_lost(self, finite: NDArray[np.bool_], names: Sequence[str]) -> None:
        """InputError, naming the row, where not every row's numbers are finite."""
        if not finite.all():
            raise InputError(self._not_finite(f"after row {names[int(finite.argmin())]!r}"))

    @torch.inference_mode()
    def _forward(
        self, tokens: Sequence[Tokens], words: list[int] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """One batch: logits (rows, words), of all tokens where `words` is None, and log-totals (rows,).

        None where it does not fit into memory.
        """
        ids, mask = padded(tokens, pad=self.source.pad)
        last = mask.sum(dim=1) - 1
        self._state.restore()

        def at_last(module: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
            # The head is given each row's last token alone: over all of them a large vocabulary would not fit. What
            # the model does to its logits afterwards, such as capping them, it still does.
            states: Tensor = given[0]
            return (
                states[torch.arange(len(states), device=states.device), last.to(states.device)][:, None],
                *given[1:],
            )

        def run() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            output = self.model(input_ids=ids.to(self.device), attention_mask=mask.to(self.device)).logits
            assert output.shape[:2] == (len(tokens), 1)
            next_token = output[:, 0].float()
            chosen = next_token if words is None else next_token[:, torch.as_tensor(words, device=next_token.device)]
            return chosen.cpu().numpy(), next_token.logsumexp(dim=-1).cpu().numpy()

        handle = self.model.get_output_embeddings().register_forward_pre_hook(at_last)
        failed = f"model {self.source.name} fails on prompts of {ids.shape[1]} tokens in {self._dtype}"
        try:
            return or_no_memory(run, failed, "another --dtype or --attn")
        finally:
            handle.remove()
