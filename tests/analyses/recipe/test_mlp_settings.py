"""The size of the MLP probe in recipes: it is that of the fits, and recipes that do not say it are as they were."""

from pathlib import Path

import numpy as np
import pytest

from analyses.experiment.declared_probes import EVERY_SETTING
from analyses.methods import find_method
from analyses.recipe.probe_values import Probes
from tests.worlds.experiments import experiment, outcome_by, small_recipe
from w2s_probes import InputError
from w2s_probes.probes.mlp import MLPProbe


def test_a_fit_has_the_units_and_the_epochs_of_the_recipe(tmp_path: Path) -> None:
    probes = small_recipe("probes.mlp_hidden=3", "probes.mlp_epochs=4", "probes.mlp_l2=0.1").probes
    view = experiment(tmp_path, probes=probes)
    expected = MLPProbe(0.1, hidden=3, epochs=4).fit(view.X_train, view.weak_train)
    assert expected.hidden_coef_.shape[0] == 3
    found = outcome_by("probe-mlp", view).scores["test"]
    np.testing.assert_allclose(found, expected.predict_proba(view._vectors("test"))[:, 1], atol=1e-6)
    usual = outcome_by("probe-mlp", experiment(tmp_path / "usual", probes=Probes(mlp_l2=0.1))).scores["test"]
    assert np.abs(usual - found).max() > 1e-3


def test_keys_and_records_are_as_they_were_where_nothing_is_said_and_other_where_it_is() -> None:
    settings = find_method("probe-mlp").settings
    assert settings == {"mlp_l2", "mlp_hidden", "mlp_epochs"} == find_method("control-permuted-mlp").settings
    assert Probes().read(settings) == {"mlp_l2": 0.01} == Probes(mlp_hidden=16, mlp_epochs=20).read(settings)
    assert Probes(mlp_hidden=8).read(settings) == {"mlp_l2": 0.01, "mlp_hidden": 8}
    assert not {"mlp_hidden", "mlp_epochs"} & Probes().read(EVERY_SETTING).keys()
    assert Probes(mlp_epochs=5).read(EVERY_SETTING)["mlp_epochs"] == 5
    assert "mlp_hidden" not in Probes().model_dump(mode="json")
    assert Probes(mlp_hidden=8).model_dump(mode="json")["mlp_hidden"] == 8
    assert Probes(mlp_hidden=8).read(find_method("probe-logistic").settings) == {"logistic_l2": 0.01}


@pytest.mark.parametrize("setting", ["mlp_hidden=0", "mlp_epochs=-1", "mlp_hidden=2.5", 'mlp_epochs="many"'])
def test_what_is_no_number_of_units_or_epochs_is_refused(setting: str) -> None:
    with pytest.raises(InputError, match=f"probes.{setting.partition('=')[0]}"):
        small_recipe(f"probes.{setting}")
