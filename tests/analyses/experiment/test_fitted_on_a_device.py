"""A recipe's device: probes and heads are fitted there, and what is kept of them is kept apart from the processor's."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyses.device_costs import device_bytes
from analyses.experiment.kept_methods import method_description
from analyses.lessons.clock import Clock
from analyses.lessons.engine import together
from analyses.lessons.lesson import Lesson
from analyses.lessons.units import LessonUnit
from analyses.methods import METHODS
from analyses.recipe.read import read_recipe
from tests.worlds.experiments import experiment
from w2s_probes import InputError
from w2s_probes.devices import DeviceError
from w2s_probes.progress import silent
from w2s_probes.students import train_heads


def test_probes_on_a_device_say_what_the_processors_say_and_are_kept_apart(tmp_path: Path) -> None:
    here = experiment(tmp_path)
    there = replace(here, device="cpu:0")
    for name, kind, files in (("mlp", "opinions", 2), ("attention", "attention", 2), ("knn", "opinions", 3)):
        scores = [view.out_of_sample_scores(name) for view in (here, there)]
        np.testing.assert_allclose(scores[1], scores[0], atol=1e-4)
        assert len(list((tmp_path / kind).glob("*.safetensors"))) == files  # kNN reads no device, and is kept once
    assert [view.probe(name).get_params().get("device") for view in (here, there) for name in ("mlp", "knn")] == [
        "cpu",
        None,
        "cpu:0",
        None,
    ]
    ours, theirs = (view.plain_probe_scores("mlp", here.weak_train)["test"] for view in (there, here))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_keys_on_the_processor_say_nothing_of_devices_and_those_of_a_gpu_its_kind(tmp_path: Path) -> None:
    here = experiment(tmp_path)
    sets: Any = None
    plain = method_description("filter-logistic", METHODS["filter-logistic"], here, sets)
    for device in ("cuda", "cuda:1"):
        student = replace(here.student, device=device)
        there = replace(here, device=device, student=student)
        described = method_description("filter-logistic", METHODS["filter-logistic"], there, sets)
        assert described == plain | {"device": "cuda", "student": here.student.description | {"device": "cuda"}}
        assert list(here.student.description) == ["reads", "training"]


def test_heads_are_taught_on_the_device_and_want_its_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = experiment(tmp_path)
    asked: list[str | None] = []

    def seen(*rows: Any, device: str | None, **more: Any) -> Any:
        asked.append(device)
        return train_heads(*rows, device=device, **more)

    monkeypatch.setattr("analyses.lessons.teaching.train_heads", seen)
    scores = []
    for device in ("cpu", "cpu:0"):
        lesson = here.lesson(here.weak_train, learner=replace(here.student, device=device))
        unit = LessonUnit((lesson,))
        assert unit.on_gpu == (device != "cpu")
        assert unit.name.startswith("heads of")
        scores.append(unit.run()[0].result["test"])  # type: ignore[index]
    assert asked == [None, "cpu:0"]
    np.testing.assert_allclose(scores[1], scores[0], atol=1e-6)
    assert len(list((tmp_path / "trained").glob("*.safetensors"))) == 2


def test_a_device_without_room_ends_a_run_and_leaves_out_no_method() -> None:
    def step(error: Exception) -> Iterator[Sequence[Lesson]]:
        if str(error):
            raise error
        yield []

    def outcome(error: Exception) -> Any:
        steps: Any = {"t, seed 0: m": step(error)}
        return next(together(steps, Clock(silent, 1)))

    with pytest.raises(StopIteration) as left_out:
        outcome(InputError("labels of one class"))
    assert str(left_out.value.value["t, seed 0: m"]) == "labels of one class"
    with pytest.raises(DeviceError, match="do not fit into its memory"):
        outcome(DeviceError("device='cuda': 9 rows do not fit into its memory: use 'cpu'"))


def test_a_recipe_names_its_device_and_no_other_word() -> None:
    assert read_recipe("demo", []).device == "cpu"
    assert read_recipe("demo", ["device=cuda:1"]).device == "cuda:1"
    with pytest.raises(InputError, match="device: device 'GPU' is no device: give 'cpu', 'cuda', 'cuda:1' or 'mps'"):
        read_recipe("demo", ["device=GPU"])


def test_a_plan_says_what_probes_and_heads_take_on_the_device_and_nothing_of_the_processor() -> None:
    sizes = ["data.n_train=100000", "probes.logistic_l2=1"]
    assert device_bytes(read_recipe("demo", sizes), 4096) == 0
    layer = 4 * 100_000 * 4096
    networks = layer + 6 * 4 * (6 * 16) * 4096 + 16 * (1 << 25)
    fits = 112 * 6 * 100_000 + 160 * 6 * 4096 + 16 * (1 << 25)
    taken = device_bytes(read_recipe("demo", [*sizes, "device=cuda"]), 4096)
    assert taken == 2 * layer + max(networks, fits) + 10**9
