"""Fine-tunings of several processes beside --jobs: refused before any work where they would crowd the machine."""

from pathlib import Path

import pytest

from analyses.lessons.engine_checks import refuse_engines
from analyses.recipe.read import read_recipe
from w2s_probes import InputError
from w2s_probes.places import Place


@pytest.mark.parametrize(
    ("processor", "jobs", "gpus", "said"),
    [
        ("true", 2, None, r"num_processes: 2, and --jobs 2: 4 processes on 3 cores: lower one"),
        ("true", 1, 1.0, None),
        ("false", 2, None, r"would meet on the same GPUs: give --gpus-per-job 2, or no --jobs"),
        ("false", 2, 2.0, None),
    ],
)
def test_trainings_at_the_same_time_do_not_crowd(
    processor: str, jobs: int, gpus: float | None, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("accelerate")
    monkeypatch.setattr("analyses.lessons.engine_checks.cores", lambda: 3)
    config = tmp_path / "fsdp.yaml"
    config.write_text(
        f"distributed_type: FSDP\nnum_processes: 2\nuse_cpu: {processor}\nfsdp_config:\n  fsdp_version: 2\n"
    )
    tuned = ("student.kind=full", 'student.finetuning.engine="trainer"', f'student.finetuning.accelerate="{config}"')
    recipe = read_recipe("demo", tuned)
    place = Place(jobs=jobs, gpus_per_job=gpus)
    if said is None:
        refuse_engines(recipe, place)
        return
    with pytest.raises(InputError, match=said):
        refuse_engines(recipe, place)
