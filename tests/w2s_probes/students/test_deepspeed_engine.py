"""DeepSpeed under transformers' Trainer: the numbers, files and resuming of one process, at every stage of ZeRO."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.w2s_probes.students.test_trainer_engine import SHARDED, Ending, Stopped, of_trainer, same, trained
from tests.worlds.sharded import FSDP, MINIATURE, in_two, moods
from w2s_probes.students import FineTuning
from w2s_probes.students.finetune import FineTuned
from w2s_probes.students.finetuning import training_folder

pytest.importorskip("deepspeed", reason="DeepSpeed is not installed")
ZERO = "distributed_type: DEEPSPEED\nnum_processes: 2\nuse_cpu: true\ndeepspeed_config:\n  zero_stage: {}\n"
ADAPTERS = FineTuning(**SHARDED.model_dump() | {"kind": "lora", "learning_rate": 1e-2})


@pytest.fixture(autouse=True)
def _keep_every_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_folder, "SECONDS", 0.0)
    monkeypatch.setattr(training_folder, "SHARE", 0.0)


@pytest.mark.filterwarnings("ignore")  # DeepSpeed's own
def test_every_stage_gives_what_one_process_gives_and_goes_on_from_anothers_state(tmp_path: Path) -> None:
    rows: dict[str, Any] = {"rows": moods(70, "train"), "held_out": moods(31, "test", seed=1)}
    alone = trained(MINIATURE / "weak", SHARDED, folder=tmp_path / "1", **rows)
    adapted = trained(MINIATURE / "weak", ADAPTERS, "xent", folder=tmp_path / "1-lora", **rows)

    def by(way: str, settings: FineTuning = SHARDED) -> FineTuning:
        place = tmp_path / f"{way}.yaml"
        if not place.exists():
            place.write_text(FSDP if way == "fsdp" else ZERO.format(way))
        return of_trainer(settings, accelerate=str(place))

    for way in ("fsdp", "1", "2", "3"):
        by(way)  # which the processes then read

    def in_parts(rank: int) -> list[FineTuned]:
        linear, found = torch.nn.functional.linear, []
        for before, after in (("3", "2"), ("fsdp", "3"), ("1", "fsdp")):
            Ending.at, place = 10, tmp_path / f"{before}-{after}"
            with pytest.raises(Stopped):
                trained(MINIATURE / "weak", by(before), folder=place, **rows)
            torch.distributed.barrier()
            assert {file.name for file in place.iterdir()} == {training_folder.STATE}
            Ending.at = 0
            found.append(trained(MINIATURE / "weak", by(after), folder=place, **rows))
        lora = trained(MINIATURE / "weak", by("3", ADAPTERS), "xent", folder=tmp_path / "adapters", **rows)
        assert torch.nn.functional.linear is linear  # which DeepSpeed would replace
        return [*found, lora]

    for found in in_two(in_parts, tmp_path / "meeting"):
        for result in found[:-1]:
            same(result, alone)
        same(found[-1], adapted)
    files = [sorted(f.name for f in (tmp_path / n).rglob("*")) for n in ("1", "3-2")]
    assert files[0] == files[1]
