"""A loaded causal model with its head: what asking and writing share."""

from typing import Any

from w2s_probes.store.dtypes import StoredDtype

from ..models.loading import Placement, load_speaker
from ..models.source import ModelSource
from .engine import affordable_tokens
from .model_state import ModelState
from .switches import mode_of


class CausalModel:
    """A model on its device, with a budget of tokens a batch, which is halved where a batch does not fit."""

    def __init__(
        self,
        source: ModelSource,
        *,
        dtype: StoredDtype,
        quantization: str | None = None,
        placement: Placement | None = None,
    ) -> None:
        placement = placement or Placement()
        self.source, self._dtype = source, dtype
        self.model: Any = load_speaker(source, dtype, placement, quantization)
        self.device = next(self.model.parameters()).device
        self._state, self._mode = ModelState(self.model), mode_of(source.text_config)
        self.budget = placement.batch_tokens or self._affordable()

    def _affordable(self) -> int:
        """Tokens of a batch that fits into the device's memory."""
        return affordable_tokens(self.source, self.device, self._dtype)

    def _not_finite(self, what: str) -> str:
        """The message for logits that are not finite."""
        advice = "try --dtype bfloat16 or float32" if self._dtype == "float16" else "are its weights damaged?"
        return f"the logits {what} are NaN or infinite in {self._dtype}: {advice}"

    def _too_long(self, row: str, tokens: int, shorten: str) -> str:
        """The message for a row that does not fit by itself."""
        return (
            f"row {row!r} with {tokens} tokens does not fit into the memory of {self.device}: {shorten} a smaller "
            "--dtype, --quantization, or --device-map auto"
        )
