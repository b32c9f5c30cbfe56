"""A probe that is added to the registry is in recipes, methods and reports by that entry alone."""

import json
import subprocess
import sys

from analyses.recipe.probe_values import Probes
from tests.conftest import ROOT
from w2s_probes.probes.registry import OTHER_SETTINGS, PROBES

CODE = """
import dataclasses, json
from w2s_probes.probes import registry
nearest = dataclasses.replace(registry.PROBES["knn"], name="nearest", title="Nearest", values="Neighbours of nearest")

from analyses.methods import METHODS
before = len(METHODS)  # also the modules that read the registry are there before the probe is

from analyses.recipe.probe_values import Probes
from analyses.report.views.wording import captions, readers
registry.PROBES["nearest"] = nearest
print(json.dumps({
    "default": Probes().nearest_k,
    "given": Probes(nearest_k=3).read(["nearest_k", "knn_k"]),
    "more": len(METHODS) - before,
    "methods": sorted(name for name in METHODS if "nearest" in name),
    "settings": sorted(METHODS["filter-nearest"].settings),
    "caption": captions()["nearest_k"],
    "read_by": sorted(readers()["nearest_k"]),
}))
"""


def test_one_entry_gives_a_recipes_key_methods_and_captions() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout) == {
        "default": 50,
        "given": {"knn_k": 50, "nearest_k": 3},
        "more": 8,
        "methods": [
            f"{kind}-nearest"
            for kind in ("ceiling", "control-random-two-stage", "filter", "filter-relabel", "gold-select", "probe")
        ]
        + ["relabel-nearest", "two-stage-nearest"],
        "settings": ["contamination", "nearest_k"],
        "caption": "Neighbours of nearest",
        "read_by": ["nearest"],
    }


def test_no_setting_of_a_probe_can_be_called_like_a_key_of_a_recipe() -> None:
    assert set(Probes.model_fields) - {entry.setting for entry in PROBES.values()} <= OTHER_SETTINGS
