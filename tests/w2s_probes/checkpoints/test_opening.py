"""Extraction and fine-tuning open a checkpoint in one way: what one of them refuses the other refuses, and why."""

import builtins
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer
from transformers.utils import logging

from extract.costs.lengths import assumed_lengths
from extract.extractor import Extraction
from extract.models.source import ModelSource
from tests.conftest import FAMILIES
from tests.w2s_probes.students.test_finetune_input import refused
from tests.worlds.finetuning import save_model, task, tiny
from w2s_probes import InputError
from w2s_probes.checkpoints.loading import usable
from w2s_probes.students import FineTuning
from w2s_probes.students.finetuning.classifier import Checkpoint
from w2s_probes.students.finetuning.model_heads import lora_targets

Made = Callable[..., Path]


def not_extracted(folder: Path) -> str:
    """Why a checkpoint cannot be extracted from."""
    with pytest.raises(InputError) as raised:
        source = ModelSource.find(str(folder))
        _ = source.config, source.tokenizer
    return str(raised.value)


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def contradictory(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": 5}')


def no_tokenizer(folder: Path) -> None:
    for file in folder.glob("token*"):
        file.unlink()


def own_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    classes = {"AutoConfig": "configuration_mine.MineConfig"}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "mine", "auto_map": classes}))
    (folder / "configuration_mine.py").write_text("raise SystemExit('this was run')\n")


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no folder": (shutil.rmtree, "no such folder; give "),
    "no config": (no_config, "no config.json there; give "),
    "contradictory config": (contradictory, "its config cannot be used ("),
    "no tokenizer": (no_tokenizer, "no usable tokenizer ("),
    "code of its own": (own_code, "its classes are code that comes with the checkpoint, which is not run: "),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_both_refuse_a_checkpoint_for_the_same_reason_and_run_nothing_of_it(
    fault: str, checkpoint: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(checkpoint(), tmp_path / "model"))
    breaking, reason = FAULTS[fault]
    breaking(folder)
    # At a terminal transformers would ask whether to run the code.
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("the user was asked"))
    assert f"model {folder}: {reason}" in not_extracted(folder)
    assert f"model {folder}: {reason}" in refused(folder)


def test_a_folder_whose_tokenizer_knows_no_word_is_refused_by_both(checkpoint: Made, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint(), tmp_path / "model"))
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["model"]["vocab"] = {"<pad>": 0, "<unk>": 1}
    file.write_text(json.dumps(content))
    assert not_extracted(folder).endswith("(its files are missing or empty: it knows no word)")
    assert refused(folder).endswith("(its files are missing or empty: it knows no word)")


@pytest.mark.parametrize("shown", [True, False])
def test_loading_is_quiet_and_leaves_transformers_as_it_was(shown: bool) -> None:
    before = logging.is_progress_bar_enabled(), logging.get_verbosity()
    try:
        (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
        logging.set_verbosity_info()
        with pytest.raises(InputError, match=r"^model m: it fails \(the reason\)$"), usable("m", "it fails"):
            assert not logging.is_progress_bar_enabled()
            raise ValueError("\x1b[1mthe\n  reason\x1b[0m")
        assert logging.is_progress_bar_enabled() == shown
        assert logging.get_verbosity() == logging.INFO
    finally:
        (logging.enable_progress_bar if before[0] else logging.disable_progress_bar)()
        logging.set_verbosity(before[1])


def test_a_fault_of_ours_is_not_taken_for_the_files() -> None:
    class Bug(Exception):
        pass

    with pytest.raises(Bug), usable("m", "it fails"):
        raise Bug


@pytest.mark.parametrize("family", [*FAMILIES, "roberta"])
def test_both_know_the_same_window(family: str, checkpoint: Made, tmp_path: Path) -> None:
    if family == "roberta":
        size = {"vocab_size": 44, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
        model = tiny("RobertaModel", "RobertaConfig", **size, intermediate_size=48, max_position_embeddings=40)
        folder = save_model(tmp_path / "roberta", model)
    else:
        folder = checkpoint(family)
    student = Checkpoint.open(folder)
    classifier = student.classifier(FineTuning(kind="full"), seed=0, dtype=torch.float32)
    expected = 38 if family == "roberta" else 64
    assert student.window(classifier) == ModelSource.find(str(folder)).window == expected
    # A plan, which may lack the tokenizer, cuts where the extraction will.
    assert assumed_lengths(ModelSource.describe(str(folder)), 3, 1000).tokens.tolist() == [expected] * 3
    for file in folder.glob("token*"):
        file.rename(file.with_suffix(".away"))
    try:
        planned = assumed_lengths(ModelSource.describe(str(folder)), 3, 1000)
    finally:
        for file in folder.glob("token*.away"):
            file.rename(file.with_suffix(".json"))
    assert (planned.limit, planned.cut) == (expected, 3)


def test_lengths_that_leave_no_room_for_text_are_refused_by_both(checkpoint: Made, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint(), tmp_path / "model"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    special = [("<s>", 2), ("</s>", 3)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=special)
    tokenizer.save_pretrained(folder)
    reason = "max_length=2 leaves no room for text beside the 2 tokens that the tokenizer adds: raise it"
    rows = pd.DataFrame({"id": ["a"], "text": ["w1 w2"]})
    with pytest.raises(InputError, match=reason):
        Extraction.plan(str(folder), rows, max_length=2)
    settings = FineTuning(kind="full", epochs=1, max_length=2)
    assert refused(folder, settings=settings) == reason


def test_a_tokenizer_of_another_model_is_refused_by_both(tmp_path: Path) -> None:
    size = {"vocab_size": 10, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    folder = save_model(tmp_path / "m", tiny("LlamaModel", "LlamaConfig", **size, intermediate_size=48))
    rows = pd.DataFrame({"id": ["a"], "text": ["w1 w39"]})
    reason = f"the tokenizer of {folder} gives token 43, and the model knows 10: tokenizer and weights are of different"
    with pytest.raises(InputError, match="row 'a': ") as raised:
        Extraction.plan(str(folder), rows).run(tmp_path / "s")
    assert reason in str(raised.value)
    train = task(20)
    assert reason in refused(folder, predict={"test": ["w1 w39"]}, train=type(train)(["w1", "w2"] * 10, train.soft))


def test_lora_adapts_attention_and_mlp_where_a_model_keeps_them_in_two_lists() -> None:
    config = {"vocab_size": 44, "emb_dim": 32, "n_layers": 2, "n_heads": 4, "num_labels": 2}
    model = tiny("XLMForSequenceClassification", "XLMConfig", **config, max_position_embeddings=64)
    assert lora_targets(model, None) == ["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"]
