"""A probe that is added to the registry is in recipes, methods and reports by that entry alone."""

import json
import subprocess
import sys

from tests.conftest import ROOT

CODE = """
import dataclasses, json
from w2s_probes.probes import registry
nearest = dataclasses.replace(registry.PROBES["knn"], name="nearest", title="Nearest", values="Neighbours of nearest")
registry.PROBES["nearest"] = registry.SETTINGS["nearest_k"] = nearest

from analyses.methods import METHODS
from analyses.recipe.probe_values import Probes
from analyses.report.load.folder import SWEEP_CELLS
from analyses.report.views.wording import GRID, READ_BY
print(json.dumps({
    "default": Probes().model_dump()["nearest_k"],
    "methods": sorted(name for name in METHODS if "nearest" in name),
    "settings": sorted(METHODS["filter-nearest"].settings),
    "known": "nearest" in SWEEP_CELLS.known["probe"],
    "caption": GRID["nearest_k"],
    "read_by": sorted(READ_BY["nearest_k"]),
}))
"""


def test_one_entry_gives_a_recipes_key_methods_and_captions() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout) == {
        "default": 50,
        "methods": [f"{kind}-nearest" for kind in ("ceiling", "filter", "filter-relabel", "probe", "relabel")],
        "settings": ["contamination", "nearest_k"],
        "known": True,
        "caption": "Neighbours of nearest",
        "read_by": ["nearest"],
    }
