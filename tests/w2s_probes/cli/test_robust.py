"""`w2s robust`: the table, one JSON object, a dry run, and what it refuses."""

import json
from pathlib import Path

import pytest

from tests.analyses.robustness.conftest import SMALL
from w2s_probes.cli import main
from w2s_probes.cli.json_schemas import answer_schema

OPTIONS = [
    word for setting in [*SMALL, "seeds=[0]", "robustness.families=random,longest"] for word in ("--set", setting)
]


def w2s(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, words)))
    return int(ended.value.code or 0)


def test_the_students_are_shown_and_one_object_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    assert w2s("robust", "robust", "--out", tmp_path / "r", *OPTIONS, "--dry-run", "--json") == 0
    planned = json.loads(capsys.readouterr().out)
    assert not planned["finished"]
    assert planned["plan"][-1] == "7 of 7 stages to do"
    assert not (tmp_path / "r").exists()
    assert w2s("robust", "robust", "--out", tmp_path / "r", *OPTIONS, "--json") == 0
    out, err = capsys.readouterr()
    answer = json.loads(out)
    jsonschema.validate(answer, answer_schema("robust"))
    assert [one["student"] for one in answer["tasks"][0]["students"]] == ["student-xent", "filter-knn", "relabel-knn"]
    assert answer["tasks"][0]["greedy"][0] == answer["tasks"][0]["best_mean"]
    assert "Undominated:" in err
    assert "One seed tells nothing of the luck of a training" in err
    assert "hedge" in err
    assert w2s("robust", "robust", "--out", tmp_path / "r", *OPTIONS, "--dry-run") == 0
    assert "0 of 7 stages to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "robustness.families=randm"], "random"),
        (["--set", "methods=student-xent"], "name two students at least"),
        (["--set", "methods=student-xent,control-oracle-filter"], "give --oracle"),
        (["--set", "robustness.delta=-1"], "delta"),
        (["--set", "robustness.famlies=random"], "did you mean"),
    ],
    ids=range(5),
)
def test_wrong_settings_are_one_line_and_exit_code_2(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert w2s("robust", "robust", "--out", tmp_path / "r", *words) == 2
    err = capsys.readouterr().err.strip()
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "r").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r").write_text("mine")
    assert w2s("robust", "robust", "--out", tmp_path / "r") == 2
    assert "is a file" in capsys.readouterr().err
