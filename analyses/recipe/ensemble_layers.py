"""The recipe's `[probes.layers]`: one probe at several layers of the strong model, which judge together."""

from collections.abc import Iterable

from pydantic import Field, model_validator

from w2s_probes.probes.registry import PROBES

from .section import Section

LAYERS = "layers"  # names the probe of `[probes.layers]` where others have theirs
LAYERED = frozenset(
    ["probe-layers", "ceiling-layers", "filter-layers", "relabel-layers", "control-best-layer", "control-bagged-layer"]
)


class EnsembleLayers(Section):
    """The layers, and the probe that is fitted at each of them."""

    of: str = "logistic"  # a probe of the registry, or a name of [probes.classifiers]; at its value of [probes]
    layers: list[int | str] = Field([])

    @model_validator(mode="after")
    def _several(self) -> "EnsembleLayers":
        if len(self.layers) == 1:
            raise ValueError("layers names one layer, which is no ensemble: name two at least")
        if len(set(self.layers)) < len(self.layers):
            raise ValueError(f"layers names something twice: {', '.join(map(str, self.layers))}")
        return self

    def refuse(self, methods: Iterable[str], position: str) -> None:
        """ValueError for methods that read several layers where none are named, or where attention pools vectors."""
        for name in methods:
            if name.rpartition(":")[2] not in LAYERED:
                continue
            if self.of in PROBES.loaded and PROBES[self.of].pairs:
                raise ValueError(
                    f"probes.layers.of: {self.of} reads contrast pairs, which are of one layer: name another"
                )
            if not self.layers:
                raise ValueError(f"method {name!r} needs probes.layers.layers, two at least, such as [2, 4, 6]")
            if position == "attention":
                raise ValueError(f"method {name!r} reads one vector a row, and strong.position is 'attention'")
