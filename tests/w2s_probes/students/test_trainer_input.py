"""What an engine is told and cannot follow: refused in one line, before anything is trained or loaded."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from pydantic import ValidationError

from tests.worlds.sharded import FSDP
from w2s_probes import InputError
from w2s_probes.devices import DeviceError
from w2s_probes.io.files import HOST
from w2s_probes.places.local import cores
from w2s_probes.students.finetuning import engines
from w2s_probes.students.finetuning.accelerate_config import read_accelerate_config
from w2s_probes.students.finetuning.engines import EngineSetup, refuse_engine
from w2s_probes.students.finetuning.settings import FineTuning
from w2s_probes.students.finetuning.worker_processes import Report, WorkerProcesses
from w2s_probes.students.tuning_options import tuning_settings

# What `accelerate config` writes for FSDP, with version 2 chosen.
USUAL = """compute_environment: LOCAL_MACHINE
debug: false
distributed_type: FSDP
downcast_bf16: 'no'
enable_cpu_affinity: false
fsdp_config:
  fsdp_activation_checkpointing: false
  fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP
  fsdp_cpu_ram_efficient_loading: true
  fsdp_offload_params: false
  fsdp_reshard_after_forward: true
  fsdp_state_dict_type: SHARDED_STATE_DICT
  fsdp_version: 2
machine_rank: 0
main_training_function: main
mixed_precision: 'no'
num_machines: 1
num_processes: 8
rdzv_backend: static
same_network: true
tpu_env: []
tpu_use_cluster: false
tpu_use_sudo: false
use_cpu: false
"""
ZERO = "distributed_type: DEEPSPEED\nnum_processes: 2\nuse_cpu: true\ndeepspeed_config:\n  zero_stage: 2\n"


def settings(path: Path | None = None, **more: Any) -> FineTuning:
    return FineTuning(engine="trainer", accelerate=None if path is None else str(path), **more)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "cannot be read as YAML"),
        ("- 1", "is no configuration of accelerate"),
        ("num_processes: 2\n", "distributed_type: field required"),
        (FSDP.replace("FSDP", "FDSP"), "distributed_type: input should be 'NO', 'FSDP' or 'DEEPSPEED'"),
        (FSDP.replace("num_processes", "num_proceses"), "unknown key 'num_proceses'; did you mean 'num_processes'"),
        (FSDP + "  fsdp_offload_parms: true\n", "'fsdp_config.fsdp_offload_parms'; did you mean .*offload_params'"),
        (FSDP.replace("fsdp_version: 2", "fsdp_version: 1"), "fsdp_version: 2 is what is driven"),
        (FSDP.replace("fsdp_version: 2", "fsdp_use_orig_params: true"), "fsdp_version: 2 is what is driven"),
        (FSDP + "mixed_precision: bf16\n", "mixed_precision: bf16: the fine-tuning's dtype says it"),
        ("distributed_type: NO\nnum_processes: 2\n", "num_processes: 2, and distributed_type NO is of one"),
        ("distributed_type: FSDP\nnum_processes: 2\n", "fsdp_config is lacking"),
        ("distributed_type: MULTI_GPU\nnum_processes: 2\n", "gives every process the whole model"),
        ("distributed_type: DEEPSPEED\nnum_processes: 2\n", "deepspeed_config is lacking"),
        (ZERO.replace("stage: 2", "stage: 0"), "zero_stage: 0 gives every process the whole model"),
        (ZERO.replace("stage: 2", "stage: 4"), "zero_stage: input should be 1, 2 or 3"),
        (ZERO.replace("zero_stage", "stage"), "unknown key 'deepspeed_config.stage'; did you mean .*zero_stage"),
        (ZERO + "  offload_optimizer_device: cpu\n", "offload_optimizer_device: cpu: nothing is moved"),
        (ZERO + "  zero3_init_flag: true\n", "zero3_init_flag: true: every process reads the checkpoint"),
        (ZERO + "  gradient_accumulation_steps: 4\n", "gradient_accumulation_steps: 4: batch_size and batch_tokens"),
        (ZERO + "  gradient_clipping: 1.0\n", "gradient_clipping: 1.0: clip of the fine-tuning says it"),
        (ZERO + "  deepspeed_config_file: a.json\n", "deepspeed_config_file: a.json: DeepSpeed's own file"),
        (FSDP + "  activation_checkpointing: true\n", "set gradient_checkpointing of the fine-tuning"),
        (FSDP.replace("num_processes: 2", "num_processes: 0"), "num_processes: input should be greater"),
    ],
)
def test_a_configuration_that_is_not_followed_is_refused_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=said) as raised:
        refuse_engine(settings(tmp_path / "a.yaml"))
    assert "\n" not in str(raised.value)
    assert str(tmp_path / "a.yaml") in str(raised.value)


def test_what_accelerate_itself_writes_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(USUAL)
    config = read_accelerate_config(tmp_path / "a.yaml")
    assert config.num_processes == 8
    assert config.environment["FSDP_VERSION"] == "2"
    assert config.environment["FSDP_RESHARD_AFTER_FORWARD"] == "true"
    (tmp_path / "a.yaml").write_text(
        ZERO + "  gradient_accumulation_steps: 1\n  offload_optimizer_device: none\n  offload_param_device: none\n"
        "  zero3_init_flag: false\n  zero3_save_16bit_model: false\n"
    )
    config = read_accelerate_config(tmp_path / "a.yaml")
    assert config.zero_stage == 2
    assert config.environment["DS_ACCELERATOR"] == "cpu"
    assert "ACCELERATE_USE_FSDP" not in config.environment
    (tmp_path / "a.yaml").write_text("distributed_type: NO\nmixed_precision: no\n")  # which YAML reads as false
    assert "ACCELERATE_USE_FSDP" not in read_accelerate_config(tmp_path / "a.yaml").environment


def test_more_processes_than_devices_and_other_numbers_than_were_started_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "a.yaml"
    place.write_text(FSDP.replace("2", "1024", 1))
    with pytest.raises(InputError, match=f"num_processes: 1024, but this process may use {cores()} cores: lower it"):
        EngineSetup.of(settings(place))
    place.write_text(FSDP.replace("use_cpu: true", "use_cpu: false").replace("2", "999", 1))
    with pytest.raises(InputError, match=r"num_processes: 999, but here are \d+ GPUs"):
        EngineSetup.of(settings(place))
    place.write_text(FSDP.replace("use_cpu: true", "gpu_ids: '1'"))
    with pytest.raises(InputError, match="num_processes: 2, but gpu_ids are 1: lower it"):
        EngineSetup.of(settings(place))
    place.write_text(FSDP + "num_machines: 2\n")
    with pytest.raises(InputError, match="num_machines: 2: give the command on each"):
        EngineSetup.of(settings(place))
    monkeypatch.setattr(engines, "refuse_unquantized", lambda what: None)
    with pytest.raises(InputError, match="quantize = 'nf4' is of one process"):
        EngineSetup.of(settings(place, quantize="nf4"))
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(InputError, match="num_processes: 2, but 3 have been started: write 3"):
        EngineSetup.of(settings(place))
    with pytest.raises(InputError, match="in several processes shards the model: give `accelerate`"):
        EngineSetup.of(settings())
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(InputError, match="fsdp_version: 2"):
        EngineSetup.of(settings())
    monkeypatch.setenv("FSDP_VERSION", "2")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    with pytest.raises(InputError, match="mixed_precision: the fine-tuning's dtype"):
        EngineSetup.of(settings())
    monkeypatch.setattr(engines, "version", lambda package: "99.0.0")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setenv("WORLD_SIZE", "2")
    place.write_text(ZERO)
    with pytest.raises(InputError, match="says FSDP, and `accelerate` DEEPSPEED: start by torchrun"):
        EngineSetup.of(settings(place))
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "false")
    assert EngineSetup.of(settings(place)).zero_stage == 2
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(InputError, match="sets DeepSpeed up for itself: start by torchrun"):
        EngineSetup.of(settings(place))


def test_engines_that_are_not_installed_or_too_old_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"no\.yaml'?: no such file: write one by `accelerate config"):
        refuse_engine(settings(tmp_path / "no.yaml"))
    versions = {"transformers": "5.23.0", "accelerate": "1.15.0"}

    def version(package: str) -> str:
        if package not in versions:
            raise importlib.metadata.PackageNotFoundError(package)
        return versions[package]

    monkeypatch.setattr(engines, "version", version)
    refuse_engine(settings())
    with pytest.raises(
        InputError, match=r"quantize = 'nf4' needs bitsandbytes, .* pip install 'w2s-probes\[trainer\]'"
    ):
        refuse_engine(settings(quantize="nf4"))
    (tmp_path / "zero.yaml").write_text(ZERO)
    with pytest.raises(InputError, match=r"DEEPSPEED needs deepspeed, .* pip install 'w2s-probes\[deepspeed\]'"):
        refuse_engine(settings(tmp_path / "zero.yaml"))
    versions["deepspeed"] = "0.18.9"
    with pytest.raises(InputError, match=r"DEEPSPEED needs deepspeed 0\.19\.8 or newer, and here is 0\.18\.9"):
        refuse_engine(settings(tmp_path / "zero.yaml"))
    versions["accelerate"] = "1.9.2"
    with pytest.raises(InputError, match=r"needs accelerate 1\.15 or newer, and here is 1\.9\.2"):
        refuse_engine(settings())
    del versions["accelerate"]
    with pytest.raises(InputError, match="engine = 'trainer' needs accelerate, which is not installed"):
        refuse_engine(settings())
    assert refuse_engine(FineTuning()) is None


def test_settings_that_only_the_trainer_follows_ask_for_it() -> None:
    with pytest.raises(InputError, match="--tune: engine: input should be 'loop' or 'trainer'"):
        tuning_settings(["engine=trainr"], {"kind": "lora"})
    for more in ({"accelerate": "a.yaml"}, {"quantize": "nf4"}):
        with pytest.raises(ValidationError, match="is of engine = 'trainer'"):
            FineTuning.model_validate(more)
    with pytest.raises(ValidationError, match="choose 'lora'"):
        FineTuning(engine="trainer", kind="full", quantize="nf4")


def test_kinds_that_the_trainer_does_not_train_are_refused() -> None:
    from analyses.recipe.training import Training

    for kind, more, said in (
        ("head", {}, "is of kinds 'lora', 'full' and 'lm', and kind is 'head'"),
        ("lm", {"quantize": "nf4"}, "quantize is of kind 'lora', and kind is 'lm'"),
    ):
        with pytest.raises(ValidationError, match=said):
            Training.model_validate({"kind": kind, "finetuning": {"engine": "trainer"} | more})
    assert Training.model_validate({"kind": "lm", "finetuning": {"engine": "trainer"}}).finetuning.kind == "lora"
    assert Training.model_validate({"kind": "full", "finetuning": {"engine": "trainer"}}).finetuning.kind == "full"


def test_the_engine_is_in_the_facts_only_where_it_may_change_numbers() -> None:
    plain = FineTuning().facts(speaks=False)
    assert not {"engine", "accelerate", "quantize"} & plain.keys()
    told = settings(Path("a.yaml"), quantize="nf4").facts(speaks=False)
    assert told == plain | {"engine": "trainer", "quantize": "nf4"}


def refusing(report: Report) -> None:
    """Reports, and refuses."""
    report({"step": 3})
    raise InputError("the rows are too few")


def dying(report: Report) -> None:
    """One of two is killed while the other waits for it."""
    if os.environ["RANK"] == "1":
        os.kill(os.getpid(), SIGKILL)
    from torch import distributed

    distributed.barrier()


def test_a_refusal_and_a_death_in_a_worker_are_told_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("w2s_probes.students.finetuning.worker_processes.gettempdir", lambda: str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f".01234567.{HOST}-{ended.pid}.partial.w2s-processes"  # by a command that was killed
    left.mkdir()
    environment = {"ACCELERATE_USE_CPU": "true"}
    reports: list[dict[str, Any]] = []
    with pytest.raises(InputError, match=r"^the rows are too few$"):
        WorkerProcesses(1, True, environment).call(refusing, reports.append)
    assert reports == [{"step": 3}]
    with pytest.raises(DeviceError, match=r"^process 1 of 2 of a training was ended by SIGKILL \(perhaps for want"):
        WorkerProcesses(2, True, environment).call(dying)
    assert list(tmp_path.iterdir()) == []
