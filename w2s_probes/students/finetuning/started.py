"""A model that was fine-tuned before is tuned on: its weights are laid over those of its checkpoint."""

from pathlib import Path

from ...errors import InputError, preview
from .saved_model import SavedModel
from .updates import ModelInTraining


def restore_from(folder: Path, student: ModelInTraining) -> None:
    """Give the trainable parameters the values that they have in the model that `finetune(save=True)` put here.

    InputError where that has not all of them: it was tuned from another checkpoint, or other weights of it.
    """
    saved = dict(SavedModel.open(folder).model.named_parameters())
    lacking = [name for name, own in student.named.items() if name not in saved or saved[name].shape != own.shape]
    if lacking:
        raise InputError(
            f"{folder}: was tuned from another model, or other weights of it: {len(lacking)} of "
            f"{len(student.named)} are lacking or of another shape, {preview(sorted(lacking))}"
        )
    student.restore({name: saved[name].detach() for name in student.named})
