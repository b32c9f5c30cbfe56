"""The losses in transformers' own Trainer: gradients under accumulation, warm-up by updates, checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainerCallback, TrainingArguments

from w2s_probes import InputError
from w2s_probes.losses import LOSS_NAMES, LOSSES, LossName, TrainerLoss, compute_loss
from w2s_probes.losses.trainer import STATE, soft_labels

WORDS = 12


def rows(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Four words a row, of which the first says the class; soft labels lean to it."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 2
    return [
        {
            "input_ids": [int(2 + t), *rng.integers(4, WORDS, size=3).tolist()],
            "attention_mask": [1, 1, 1, 1],
            "labels": float(rng.uniform(0.6, 0.95) if t else rng.uniform(0.05, 0.4)),
        }
        for t in truth
    ]


def classifier() -> Any:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=8,
        num_labels=2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return BertForSequenceClassification(config)


def trainer_of(loss: Any, data: Any, out: Path, **settings: Any) -> Trainer:
    usual = {
        "learning_rate": 5e-3,
        "per_device_train_batch_size": 8,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 0,
    }
    arguments = TrainingArguments(
        **{**usual, "report_to": [], "use_cpu": True, "save_strategy": "no", "disable_tqdm": True, **settings},
        output_dir=str(out),
        logging_strategy="no",
    )
    callbacks = [loss] if isinstance(loss, TrainerLoss) else []
    return Trainer(
        classifier(), arguments, train_dataset=data, eval_dataset=data, compute_loss_func=loss, callbacks=callbacks
    )


class Gradients(TrainerCallback):  # type: ignore[misc]
    """All gradients of the first update, as one vector."""

    first: torch.Tensor | None = None

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.first is None:
            self.first = torch.cat([p.grad.flatten() for p in kwargs["model"].parameters() if p.grad is not None])


def first_gradient(loss: Any, data: Any, out: Path, batch: int, accumulated: int) -> torch.Tensor:
    seen = Gradients()
    trainer = trainer_of(
        loss,
        data,
        out,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulated,
        max_steps=1,
        train_sampling_strategy="sequential",
    )
    trainer.add_callback(seen)
    trainer.train()
    assert seen.first is not None
    return seen.first


def weights_of(trainer: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_a_classifier_learns_with_each_loss(name: LossName, tmp_path: Path) -> None:
    data = rows(64)
    soft = [row["labels"] for row in data]
    loss = compute_loss(name, warm_up=0.2, soft_train=soft)
    trainer = trainer_of(loss, data, tmp_path, max_steps=30)
    assert trainer.evaluate()["eval_loss"] > 0  # also before the Trainer has said how long training will be

    truth = np.arange(64) % 2 == 1

    def lost() -> float:
        """Cross-entropy with the truth, one measure for all: the losses themselves change while they ramp up."""
        logits = torch.tensor(trainer.predict(data).predictions)
        return LOSSES["xent"](logits, torch.tensor(truth)).item()

    before = lost()
    trainer.train()
    assert lost() < before - 0.1
    margins = np.diff(trainer.predict(data).predictions, axis=1)[:, 0]
    assert margins[truth].min() > margins[~truth].max()
    assert loss.objective.step == 30
    assert loss.objective.ramp_ == 6


@pytest.mark.parametrize("both", [False, True], ids=["one probability", "both probabilities"])
@pytest.mark.parametrize("name", ["xent", "confidence"])
def test_accumulated_gradients_are_those_of_one_batch(name: LossName, both: bool, tmp_path: Path) -> None:
    data = rows(8)
    if both:
        data = [row | {"labels": [1 - row["labels"], row["labels"]]} for row in data]
    loss = compute_loss(name)
    whole = first_gradient(loss, data, tmp_path, 8, 1)
    for batch, accumulated in ((2, 4), (1, 8), (3, 3)):  # 3 + 3 + 2: the last one is smaller
        found = first_gradient(loss, data, tmp_path, batch, accumulated)
        assert torch.allclose(found, whole, atol=1e-7, rtol=1e-5), (batch, accumulated)
    model = classifier()
    inputs = {key: torch.tensor([row[key] for row in data]) for key in ("input_ids", "attention_mask")}
    soft = soft_labels(torch.tensor([row["labels"] for row in data]), 8)
    logits = model(**inputs).logits
    rows_lost = torch.nn.functional.cross_entropy(logits, torch.stack([1 - soft, soft], dim=1), reduction="none")
    ((rows_lost * (2 * soft - 1).abs()).mean() if name == "confidence" else rows_lost.mean()).backward()  # type: ignore[no-untyped-call]
    expected = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    assert torch.allclose(whole, expected, atol=1e-7, rtol=1e-5)


def test_a_plain_mean_would_be_too_large_under_accumulation(tmp_path: Path) -> None:
    """The control: the Trainer leaves the scale to the loss, so one that ignores the count is eight times too large."""
    loss = compute_loss("xent")

    def unscaled(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        return loss(outputs, labels)

    whole = first_gradient(loss, rows(8), tmp_path, 8, 1)
    assert torch.allclose(first_gradient(unscaled, rows(8), tmp_path, 1, 8), 8 * whole, atol=1e-6, rtol=1e-4)


def test_the_warm_up_counts_updates_and_not_micro_batches_or_evaluations(tmp_path: Path) -> None:
    loss = compute_loss("entropy", warm_up=100)
    trainer = trainer_of(
        loss, rows(16), tmp_path, per_device_train_batch_size=2, gradient_accumulation_steps=4, max_steps=3
    )
    trainer.train()
    trainer.evaluate()
    assert loss.objective.step == 3
    trainer.train()  # anew
    assert loss.objective.step == 3


@pytest.mark.parametrize("name", ["logconf", "logconf-batch"])
def test_a_resumed_training_ends_where_an_uninterrupted_one_does(name: LossName, tmp_path: Path) -> None:
    data = rows(24)

    def training() -> Trainer:
        loss = compute_loss(name, warm_up=4, buffer=12)
        return trainer_of(
            loss,
            data,
            tmp_path,
            max_steps=8,
            save_strategy="steps",
            save_steps=4,
            learning_rate=1e-3,
            per_device_train_batch_size=2,  # far fewer than what logconf remembers
        )

    whole = training()
    whole.train()
    resumed = training()
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert torch.equal(weights_of(resumed), weights_of(whole))
    assert resumed.compute_loss_func.objective.state_dict() == whole.compute_loss_func.objective.state_dict()
    foreign = training()
    state = tmp_path / "checkpoint-4" / "trainer_state.json"
    state.write_text(state.read_text().replace(STATE, "someone else's"))
    foreign.train(resume_from_checkpoint=str(state.parent))
    assert foreign.compute_loss_func.objective.step == 8
    assert torch.equal(weights_of(foreign), weights_of(whole)) == (name == "logconf-batch")  # the buffer is missing


def test_wrong_use_is_refused_with_the_remedy(tmp_path: Path) -> None:
    logits = torch.zeros(3, 2, requires_grad=True)
    y = torch.full((3,), 0.5)
    assert compute_loss("xent")((logits,), y).item() == pytest.approx(np.log(2))
    assert compute_loss("logconf")({"logits": logits.detach()}, y).item() == pytest.approx(np.log(2))
    with pytest.raises(InputError, match=r"callbacks=\[loss\]"):
        compute_loss("logconf")({"logits": logits}, y)
    loss = compute_loss("xent")
    with pytest.raises(InputError, match="num_labels=2"):
        loss({"logits": torch.zeros(3, 3)}, y)
    with pytest.raises(InputError, match="has no `labels`"):
        loss({"logits": logits}, None)
    with pytest.raises(InputError, match="torchrun"):
        loss({"logits": logits}, y, torch.tensor([[3], [3]]))
    with pytest.raises(InputError, match=r"labels have shape \(2,\)"):
        loss({"logits": logits}, y[:2])
    with pytest.raises(InputError, match="from -100 to 1"):
        loss({"logits": logits}, torch.tensor([-100, 0, 1]))
    with pytest.raises(InputError, match="add up to 1"):
        loss({"logits": logits}, torch.full((3, 2), 0.9))
    with pytest.raises(InputError, match="did you mean 'logconf'"):
        compute_loss("logcon")
    hard = loss({"logits": logits}, torch.tensor([0, 1, 1]), torch.tensor(6))
    assert hard.item() == pytest.approx(np.log(2) / 2)  # half of an update's six rows
