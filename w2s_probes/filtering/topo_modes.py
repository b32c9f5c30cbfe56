"""The two published forms of TopoFilter, as arguments of `topo_filter`."""

from typing import Any

# By the name of whose method they are.
TOPO_MODES: dict[str, dict[str, Any]] = {
    "eleuther": {"k_cc": 50, "k_zeta": 50, "connectivity": "strong", "zeta": None},  # and a contamination
    "paper": {"k_cc": 4, "k_zeta": 32, "connectivity": "weak", "zeta": 0.5},  # the authors' defaults
}
