"""Which GPU is a process's own, and what the processes that are started here see of them."""

import pytest

from w2s_probes.devices import device_key, own_gpu, refuse_no_name
from w2s_probes.errors import InputError
from w2s_probes.places import gpus, local

torch = pytest.importorskip("torch")


def test_processes_of_one_machine_take_gpus_in_turn_and_a_chosen_one_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    from extract.models.loading import default_device
    from w2s_probes.students.finetuning.process_group import ProcessGroup

    current = [0]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current[0])
    for name in ("LOCAL_RANK", "SLURM_LOCALID", "WORLD_SIZE", "ACCELERATE_USE_CPU"):
        monkeypatch.delenv(name, raising=False)
    found = []
    for variable, value in ((None, ""), ("SLURM_LOCALID", "1"), ("SLURM_LOCALID", "5"), ("LOCAL_RANK", "0")):
        if variable:
            monkeypatch.setenv(variable, value)
        found.append([own_gpu().index, ProcessGroup.join().device.index, default_device().index])
    assert found == [[0] * 3, [1] * 3, [2] * 3, [0] * 3]  # torchrun's number counts before Slurm's
    current[0] = 2  # by torch.cuda.set_device
    assert ProcessGroup.join().device == own_gpu() == torch.device("cuda", 2)


def test_gpus_of_amd_are_named_by_both_variables_and_read_by_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "4,6")
    assert gpus.gpus_here() == ["0", "1"]  # of NVIDIA's the other variable says nothing
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert gpus.gpus_here() == ["4", "6"]
    monkeypatch.delenv("HIP_VISIBLE_DEVICES")
    assert gpus.gpus_here() == ["0", "1"]
    processes = local.Processes(2, 1)
    seen = [
        {name: value for name, value in process._environment.items() if name.endswith("_VISIBLE_DEVICES")}
        for process in processes._processes
    ]
    processes.close()
    assert seen == [{"CUDA_VISIBLE_DEVICES": gpu, "HIP_VISIBLE_DEVICES": gpu} for gpu in ("0", "1")]


def test_a_device_is_told_by_its_kind_and_no_other_name_is_one() -> None:
    assert [device_key(name) for name in ("cpu", "cuda", "cuda:1", "mps")] == [
        {},
        {"device": "cuda"},
        {"device": "cuda"},
        {"device": "mps"},
    ]
    for wrong in ("", "GPU 0", "cuda:", "cuda:x", "/dev/nvidia0"):
        with pytest.raises(InputError, match="is no device: give 'cpu', 'cuda', 'cuda:1' or 'mps'"):
            refuse_no_name(wrong)
