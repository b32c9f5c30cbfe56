"""The files of a saved fine-tuned model, read without torch."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...checkpoints.files import has_weights
from ...errors import InputError, reason
from ...io.json_files import read_json
from .settings import FineTuning, Kind, Precision, Quantized

SCORING = "scoring.json"  # beside the model's own files
ADAPTER = "adapter_config.json"  # of peft


class BaseModelFiles(BaseModel):
    """The model that adapters belong to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str
    sha256: dict[str, str]  # of its config and weights


class Scoring(BaseModel):
    """How a saved model reads texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = "full"
    max_length: int | None = Field(None, ge=1)  # tokens, beyond which texts are cut; None: the model's window
    batch_tokens: int = Field(FineTuning().batch_tokens, ge=1)
    dtype: Precision = "auto"
    base: BaseModelFiles | None = None  # of adapters
    quantize: Quantized | None = None  # how the base's weights are held beside adapters
    says: dict[str, Any] | None = None  # of a model that says labels: how it is asked, and the words


def is_saved_model(folder: Path) -> bool:
    """Whether a folder holds a fine-tuned model, in transformers' or peft's format."""
    return (folder / ADAPTER).is_file() or (folder / "config.json").is_file()


def read_scoring(folder: Path) -> Scoring:
    """How the model in a folder reads texts; the usual way where nothing is written beside it."""
    if not has_weights(folder):
        raise InputError(f"{folder}: no weights in safetensors files, so it is no saved student")
    file = folder / SCORING
    if not file.exists():
        return Scoring()
    try:
        return Scoring.model_validate(read_json(file, "train the student again, or delete it"))
    except ValidationError as error:
        raise InputError(f"{file}: not as a student writes it ({reason(error)}): train the student again") from error
