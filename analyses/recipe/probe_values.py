"""The recipe's `[probes]`: a value for each probe of the registry."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model

from w2s_probes.probes.connectivity import Connectivity
from w2s_probes.probes.registry import PROBES

from .attention import Attention
from .section import Count, Section

if TYPE_CHECKING:

    class _ProbeValues(Section):
        def __getattr__(self, setting: str) -> Any: ...

else:
    VALUES = {"k": Count, "l2": Annotated[float, Field(ge=0)]}
    FIELDS = {entry.setting: (VALUES[entry.value], entry.default) for entry in PROBES.values()}
    _ProbeValues = create_model("_ProbeValues", __base__=Section, **FIELDS)


class Probes(_ProbeValues):
    """Hyper-parameters of probes and filters; fixed in advance, never chosen by truth.

    Each probe of the registry has its value here by the name of its setting: `knn_k`, `logistic_l2`, `topo_k` (which is
    both k_cc and k_zeta).
    """

    attention: Attention = Attention()
    connectivity: Connectivity = "strong"
    contamination: float = Field(0.1, ge=0, lt=1)

    if TYPE_CHECKING:

        def __init__(self, **values: Any) -> None: ...
