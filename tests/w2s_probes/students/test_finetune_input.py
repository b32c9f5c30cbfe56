"""What cannot be fine-tuned is refused in one line that says why; curves go only where they are asked for."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.worlds.finetuning import QUICK, save_model, task, tiny
from w2s_probes import InputError
from w2s_probes.io.validated import validated
from w2s_probes.losses import Objective
from w2s_probes.students import FineTuning, Texts
from w2s_probes.students.finetune import finetune

Made = Callable[..., Path]


def refused(place: Path | str, **changes: Any) -> str:
    options: dict[str, Any] = {"train": task(20), "settings": QUICK, "objective": Objective("xent")}
    with pytest.raises(InputError) as raised:
        finetune(place, **(options | changes))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_rows_that_do_not_fit_together_are_refused(checkpoint: Made) -> None:
    with pytest.raises(InputError, match="3 texts but 2 soft labels"):
        Texts(["w1", "w2", "w3"], [0, 1])
    with pytest.raises(InputError, match=r"in \[0, 1\]"):
        Texts(["w1", "w2"], [0, 1.5])
    with pytest.raises(InputError, match=r"in \[0, 1\]"):
        Texts(["w1", "w2"], [0, float("nan")])
    with pytest.raises(InputError, match="row 1 is None"):
        Texts(["w1", None], [0, 1])  # type: ignore[list-item]
    with pytest.raises(InputError, match="not one text"):
        Texts("w1", [0, 1])
    assert "at least 2" in refused(checkpoint(), train=Texts(["w1"], [1.0]))
    assert "no validation rows" in refused(checkpoint(), val=Texts([], []))
    assert "train: row 1, '': its text has no tokens" in refused(checkpoint(), train=Texts(["w1", ""], [0, 1]))
    assert "predict 'test': row 0 is 3" in refused(checkpoint(), predict={"test": [3]})


def test_labels_that_are_all_the_same_are_taken_with_a_warning(checkpoint: Made) -> None:
    rows = Texts(task(20).texts, np.full(20, 0.25))
    settings = QUICK.model_copy(update={"epochs": 30})
    with pytest.warns(UserWarning, match=r"all 20 training labels are 0\.25"):
        found = finetune(checkpoint(), rows, None, {"t": rows.texts}, settings=settings, objective=Objective("xent"))
    assert found.scores["t"] == pytest.approx(np.full(20, 0.25), abs=0.1)


def test_models_that_cannot_be_students_are_refused(checkpoint: Made, tmp_path: Path) -> None:
    assert "no such folder" in refused(tmp_path / "none")
    assert "no config.json there" in refused(tmp_path)
    pair = tiny("T5Model", "T5Config", vocab_size=44, d_model=32, num_layers=2, num_heads=4, d_kv=8, d_ff=48)
    assert "an encoder-decoder (t5) cannot be the student" in refused(save_model(tmp_path / "t5", pair))
    usual = {"vocab_size": 44, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    clip = tiny("CLIPTextModel", "CLIPTextConfig", **usual, intermediate_size=48)
    assert "no sequence classifier can be made of it" in refused(save_model(tmp_path / "clip", clip))
    shrunk = tiny("LlamaModel", "LlamaConfig", **usual, intermediate_size=48)
    folder = save_model(tmp_path / "less", shrunk)
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    assert "weights do not fit the config, 9 are missing" in refused(folder)
    (folder / "config.json").write_text(text.replace('"intermediate_size": 48', '"intermediate_size": 40'))
    assert "weights do not fit the config, 6 are missing" in refused(folder)
    (folder / "model.safetensors").unlink()
    assert "no weights in safetensors" in refused(folder)


def test_a_head_that_cannot_be_found_is_refused_with_the_names_of_the_modules() -> None:
    from w2s_probes.students.finetuning.model_heads import find_head, lora_targets

    model = tiny("LlamaForSequenceClassification", "LlamaConfig", hidden_size=32, num_hidden_layers=1, vocab_size=44,
                 num_attention_heads=4, intermediate_size=48, num_labels=3)  # fmt: skip
    with pytest.raises(InputError, match=r"which of its modules is the head.*model \(LlamaModel\), score \(Linear\)"):
        find_head(model)
    with pytest.raises(InputError, match="'q_prj'; did you mean 'q_proj'"):
        lora_targets(model, ["v_proj", "q_prj"])
    assert lora_targets(model, ["v_proj", "mlp.up_proj"]) == ["v_proj", "mlp.up_proj"]


def test_settings_are_checked_when_they_are_written() -> None:
    for key, value in [
        ("kind", "half"),
        ("dtype", "float64"),
        ("epochs", 0),
        ("learning_rate", 0.0),
        ("batch_tokens", 0),
        ("learning_rate", float("inf")),
        ("lora_targets", []),
    ]:
        with pytest.raises(InputError, match=key):
            validated(FineTuning, {key: value}, "student")
    with pytest.raises(InputError, match="did you mean 'lora_rank'"):
        validated(FineTuning, {"lora_rnak": 4}, "student")
    assert FineTuning().rate == 8e-5


def test_options_without_what_they_need_are_refused(checkpoint: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "save needs a folder" in refused(checkpoint(), save=True)
    assert "did you mean 'wandb'" in refused(checkpoint(), track="wand")
    monkeypatch.setitem(sys.modules, "peft", None)
    assert "pip install 'w2s-probes[models]'" in refused(checkpoint(), settings=FineTuning(kind="lora"))
    for name, module in [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb"), ("trackio", "trackio")]:
        monkeypatch.setitem(sys.modules, module, None)
        assert f"pip install 'w2s-probes[tracking]' or pip install {name}" in refused(checkpoint(), track=name)


class Recorder(ModuleType):
    """A tracking library that notes what it is told."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self.calls: list[tuple[Any, ...]] = []

    def init(self, *, project: str, name: str, config: dict[str, Any]) -> None:
        self.calls.append(("init", project, name, config["kind"]))

    def log(self, numbers: dict[str, float], *, step: int) -> None:
        self.calls.append(("log", step, numbers))

    def finish(self) -> None:
        self.calls.append(("finish",))


@pytest.mark.parametrize("library", ["wandb", "trackio"])
def test_curves_go_to_the_tracker_that_was_asked_for(
    checkpoint: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Any
) -> None:
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, library, recorder)
    more: dict[str, Any] = {"settings": QUICK, "objective": Objective("xent"), "folder": tmp_path / "run-7"}
    found = finetune(checkpoint(), task(), task(30, seed=1), track=library, **more)
    logged = [
        ("log", look.step, {"train/loss": look.loss, "train/learning_rate": look.rate, "val/auroc": look.auroc})
        for look in found.history
    ]
    assert recorder.calls == [("init", "w2s-probes", "run-7", "full"), *logged, ("finish",)]
    assert len(logged) == 5


def test_settings_and_the_head_student_load_neither_transformers_nor_peft() -> None:
    code = (
        "import sys; from w2s_probes.students import FineTuning; a = 'torch' in sys.modules; "
        "from w2s_probes.students import HeadStudent; "
        "print(a, [m for m in ('transformers', 'peft', 'accelerate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False []"
