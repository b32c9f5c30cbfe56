"""A fine-tuning whose loop is transformers' Trainer's: our batches, loss, schedule, stopping and files in its hooks."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from accelerate.state import AcceleratorState, GradientState
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from ...errors import InputError
from .loop import TrainingLoop
from .model_in_trainer import ModelInTrainer
from .training_folder import SavedState


class TrainerLoop(TrainingLoop):
    """Trains a model by transformers' Trainer; begins, evaluates, stops and ends as `TrainingLoop` does."""

    student: ModelInTrainer
    value = float("nan")  # the loss of the update that is being made

    def run(self, state: SavedState | None, check: Callable[[], None]) -> None:
        """Train to the end, from `state` on if there is one; the best model is then the student's."""
        with TemporaryDirectory() as unused, _left_as_it_was():
            trainer = UpdatesTrainer(self, state, check, unused)
            trainer.remove_callback(PrinterCallback)
            try:
                trainer.train()
            except ValueError as error:
                if "transformer layer class" not in str(error):
                    raise
                names = sorted({type(module).__name__ for module in self.student.model.modules()})
                raise InputError(
                    "fsdp_transformer_layer_cls_to_wrap names no class of the model's modules: it has "
                    f"{', '.join(names)[:300]}"
                ) from error
        self._end()

    def _keep_if_due(self) -> None:
        processes = self.student.processes
        due = torch.tensor(float(self.folder.due()), device=processes.device)  # the first process's clock
        if not processes.add(due):
            return
        if processes.first:
            self.folder.keep(self._state)
        else:
            self._state()  # gives what it holds


class UpdateRows(Dataset[dict[str, Tensor]]):
    """The rows of each update that is left to be made, in order."""

    def __init__(self, loop: TrainingLoop, begin: int, end: int) -> None:
        self.loop, self.begin, self.end = loop, begin, end

    def __len__(self) -> int:
        return self.end - self.begin

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"rows": torch.from_numpy(self.loop.rows(self.begin + index))}


class UpdatesTrainer(Trainer):  # type: ignore[misc]
    """The Trainer of one student: an item of its data is the rows of an update, over all processes."""

    is_fsdp_enabled: bool

    def __init__(self, loop: TrainerLoop, state: SavedState | None, check: Callable[[], None], unused: str) -> None:
        self.loop = loop
        progress = {} if state is None else state.facts["progress"]
        self.begin = loop.steps if progress.get("stopped") else int(progress.get("step", 0))
        device = loop.student.processes.device
        arguments = TrainingArguments(
            output_dir=unused,
            num_train_epochs=1,  # of updates: ours are counted by the loop
            per_device_train_batch_size=loop.settings.batch_size,
            max_grad_norm=0.0,  # `Hooks` clips, and sees the norm
            use_cpu=device.type == "cpu",
            save_strategy="no",
            logging_strategy="no",
            eval_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
        )
        super().__init__(loop.student.model, arguments, callbacks=[Hooks(self, state, check)])
        loop.student.share_out(self)

    def _move_model_to_device(self, model: nn.Module, device: torch.device) -> None:
        """The student has placed it, or what shards it will."""

    def get_train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """The updates that are left, each process all of their rows: it takes its share when it reads them."""
        return DataLoader(UpdateRows(self.loop, self.begin, self.loop.steps), batch_size=None)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """The student's."""
        self.optimizer = self.loop.student.optimizer
        return self.loop.student.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        """Our schedule, from the update on where training begins."""
        steps, settings = self.loop.steps, self.loop.settings
        for group in self.loop.student.optimizer.param_groups:
            group["lr"] = 1.0  # which the schedule multiplies
        schedule = LambdaLR(self.loop.student.optimizer, lambda made: settings.rate_at(self.begin + made, steps))
        self.lr_scheduler = schedule
        return schedule

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Set the gradients of one update, micro-batch by micro-batch; its loss over all processes."""
        batch = self.loop.batch() | {"rows": inputs["rows"].numpy()}
        del batch["rate"]  # is the schedule's
        value = self.loop.student.gradients(**batch)
        self.loop.value = float(value)
        return value.to(self.args.device)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Counted before training (`w2s plan`), not here."""
        return 0


class Hooks(TrainerCallback):  # type: ignore[misc]
    """What a `TrainingLoop` does between the Trainer's steps."""

    def __init__(self, trainer: UpdatesTrainer, state: SavedState | None, check: Callable[[], None]) -> None:
        self.trainer, self.loop, self.state, self.check = trainer, trainer.loop, state, check

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin, with the model as the Trainer has wrapped it."""
        self.loop.student.adopt(self.trainer.model_wrapped, self.trainer.accelerator)
        self.check()
        self.loop._begin(self.state)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Clip the gradient; refuse one that is not finite, while nothing is changed."""
        self.loop.refuse_divergence(self.loop.value, self.loop.student.clipped(self.loop.value))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Count the update, evaluate and write where it is time to, and stop where the loop does."""
        self.loop.loss.advance()
        self.loop.count(self.loop.value)
        control.should_training_stop = self.loop.done
        return control


@contextmanager
def _left_as_it_was() -> Iterator[None]:
    """Python's and NumPy's random states, which the Trainer seeds, and accelerate's memory of how it was set up."""
    numbers, arrays = random.getstate(), np.random.get_state()  # noqa: NPY002  # it is this one that it seeds
    try:
        yield
    finally:
        random.setstate(numbers)
        np.random.set_state(arrays)  # noqa: NPY002
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
