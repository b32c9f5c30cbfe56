"""The code of the losses that a method may teach by, as it stands in the keys of results."""

from functools import cached_property
from typing import TYPE_CHECKING

from w2s_probes.losses.added import loss_code
from w2s_probes.losses.names import LOSS_NAMES, LOSSES, LossName


class LossCodes:
    """The part of an experiment that knows losses by their code: `Experiment` has the field."""

    if TYPE_CHECKING:
        loss: LossName

    def code_of_losses(self, added: frozenset[str] | None) -> dict[str, str]:
        """Hashes of the losses' code, for keys: of ours, of the recipe's, and of those that were added; None: all."""
        if added is None:
            return {name: loss_code(name) for name in LOSSES}
        return self._own_losses | {name: loss_code(name) for name in sorted({*added, self.loss})}

    @cached_property
    def _own_losses(self) -> dict[str, str]:
        return {name: loss_code(name) for name in LOSS_NAMES}
