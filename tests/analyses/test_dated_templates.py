"""A chat template that holds the date: asking with it is one day's answer, learning to answer it is refused."""

from pathlib import Path

import pandas as pd
import pytest

from analyses.protocol import run
from analyses.recipe.read import RECIPES, read_recipe
from extract.asking import Asking
from extract.asking.saying import Saying
from tests.conftest import ROOT
from w2s_probes import InputError

MODELS = ROOT / "data" / "miniature"
TODAY = "{{ strftime_now('%d %b %Y') }} {{ messages[-1]['content'] }}"
SMALL = ["seeds=[0]", 'data.tasks=["miniature_price"]', "data.n_train=120", "data.n_val=60", "data.n_test=200"]
LEARNS = f"weak={{kind='lm', model='{MODELS / 'weak'}', n_truth=100}}"


def test_a_model_that_learns_with_todays_date_would_be_asked_otherwise_tomorrow(tmp_path: Path) -> None:
    dated, fixed = tmp_path / "dated.jinja", tmp_path / "fixed.jinja"
    dated.write_text(TODAY)
    fixed.write_text(TODAY.replace("{{ strftime_now('%d %b %Y') }}", "28 Nov 2026"))
    weak, answers = str(MODELS / "weak"), ("costly", "cheap")
    rows = pd.DataFrame({"id": ["a"], "text": ["dear"]})
    with pytest.raises(InputError, match="weak: its chat template holds the date, and a model that learns") as caught:
        Saying.plan(weak, answers=answers, prompt="{text}", chat_template=str(dated))
    assert "\n" not in str(caught.value)
    assert Asking.plan(weak, rows, answers=answers, prompt="{text}", chat_template=str(dated)).prompt.template
    assert Saying.plan(weak, answers=answers, prompt="{text}", chat_template=str(fixed)).facts["template"]


@pytest.mark.parametrize(
    "settings", [[LEARNS], ["student.kind=lm", 'methods=["student-xent"]']], ids=["weak", "student"]
)
def test_a_run_refuses_it_before_anything_is_trained(settings: list[str], tmp_path: Path) -> None:
    dated = tmp_path / "dated.jinja"
    dated.write_text(TODAY)
    recipe = read_recipe(RECIPES / "prior.toml", [*SMALL, f"asking.chat_template={dated}", *settings])
    with pytest.raises(InputError, match="holds the date"):
        run(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()
