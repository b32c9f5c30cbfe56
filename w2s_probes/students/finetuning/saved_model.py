"""A fine-tuned model on disk, in transformers' or peft's format, opened again to score texts as it did in training."""

import json
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from transformers import AutoModelForSequenceClassification

from ...checkpoints.batches import batches, padded
from ...checkpoints.files import deciding_files
from ...checkpoints.loading import read_tokenizer, usable
from ...checkpoints.tokens import refuse_unknown_tokens, token_limit
from ...errors import InputError, preview
from ...io.files import replacing, sha256
from ..texts import checked, tokenize
from ..threads import one_thread
from .classifier import Checkpoint, set_padding
from .engines import refuse_unquantized
from .label_speaker import Says
from .model_heads import find_head, keep_in_float32
from .precision import precision_on
from .process_group import ProcessGroup
from .quantizing import keep_trainable, quantized
from .saved_files import ADAPTER, SCORING, BaseModelFiles, Scoring, read_scoring
from .settings import FineTuning, Quantized
from .updates import SCORING as SCORED_AT_ONCE

SMALL = 3_000_000  # weights of a model below which its passes are too small to be shared out among threads


def write_scoring(place: Path, checkpoint: Checkpoint, settings: FineTuning, says: Says | None = None) -> None:
    """Write beside a saved model how it reads texts, and for adapters which model they belong to."""
    base = None
    if settings.kind == "lora" and says is None:  # whose adapters are merged
        hashes = {file.relative_to(checkpoint.folder).as_posix(): sha256(file) for file in _weights(checkpoint.folder)}
        base = BaseModelFiles(folder=str(checkpoint.folder.resolve()), sha256=hashes)
    scoring = Scoring(
        kind=settings.kind,
        max_length=settings.max_length,
        batch_tokens=settings.batch_tokens,
        dtype=settings.dtype,
        base=base,
        says=None if says is None else says.facts,
        quantize=settings.quantize,
    )
    unwritten = {"quantize"} if scoring.quantize is None else set()
    with replacing(place / SCORING) as temporary:
        temporary.write_text(json.dumps(scoring.model_dump(exclude=unwritten), indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True, eq=False)
class SavedModel:
    """A fine-tuned model that was opened again."""

    folder: Path
    model: Any
    checkpoint: Checkpoint
    scoring: Scoring
    device: torch.device

    @classmethod
    def open(cls, folder: Path, base: Path | None = None) -> "SavedModel":
        """Open what `finetune(save=True)` wrote, adapters with the model that they were trained on.

        `base` says where that is now, if it has moved. InputError where a file is missing or the base is another.
        """
        scoring = read_scoring(folder)
        if scoring.quantize is not None:
            refuse_unquantized(str(folder))
        if scoring.says is not None:
            raise InputError(f"{folder}: says its labels as words: score rows by extract.asking.said_labels")
        device = ProcessGroup.join().device
        dtype = precision_on(device, scoring.dtype)
        adapted = (folder / ADAPTER).is_file()
        checkpoint = Checkpoint.open(_base_of(folder, scoring, base) if adapted else folder)
        model = _classifier(checkpoint, dtype if adapted else torch.float32, complete=not adapted, how=scoring.quantize)
        if adapted:
            tokenizer = read_tokenizer(str(folder), folder)
            checkpoint, model = Checkpoint(checkpoint.folder, checkpoint.config, tokenizer), _adapted(model, folder)
        return cls(folder, model.to(device).eval(), checkpoint, scoring, device)

    def predict(self, texts: Sequence[str], *, batch_tokens: int | None = None) -> NDArray[np.float64]:
        """P(label = 1) (n,) of texts, cut to what the model reads; each whatever the others are, but for rounding."""
        rows, where = checked(texts, "the rows to score"), str(self.folder)
        limit = token_limit(self.checkpoint.tokenizer, self.scoring.max_length, self.checkpoint.window(self.model))
        found = tokenize(self.checkpoint.tokenizer, rows, limit, "the rows to score")
        known = int(self.model.get_input_embeddings().weight.shape[0])
        refuse_unknown_tokens(where, found.rows, known, lambda row: f"the rows to score: row {row}")
        pad = set_padding(self.checkpoint, self.model, {int(i) for ids in found.rows for i in np.unique(ids)})
        dtype = precision_on(self.device, self.scoring.dtype)
        margins = np.empty(len(rows))
        budget = SCORED_AT_ONCE * (batch_tokens or self.scoring.batch_tokens)
        with ExitStack() as stack:
            if sum(weights.numel() for weights in self.model.parameters()) < SMALL:
                stack.enter_context(one_thread())
            stack.enter_context(torch.inference_mode())
            stack.enter_context(torch.autocast(self.device.type, torch.bfloat16, dtype == torch.bfloat16))
            for part in batches(found.lengths.tolist(), budget):
                ids, mask = padded([found.rows[row] for row in part], pad)
                logits = self.model(input_ids=ids.to(self.device), attention_mask=mask.to(self.device)).logits.float()
                margins[part] = (logits[:, 1] - logits[:, 0]).cpu().double().numpy()
        return np.asarray(expit(margins))


def _weights(folder: Path) -> list[Path]:
    """The files that decide a base model's numbers; its tokenizer is saved with the adapters."""
    return [file for file in deciding_files(folder) if file.suffix == ".safetensors" or file.name == "config.json"]


def _base_of(folder: Path, scoring: Scoring, moved: Path | None) -> Path:
    """The model that the adapters belong to; InputError where it is not there, or has changed."""
    recorded = None if scoring.base is None else Path(scoring.base.folder)
    place = moved or recorded
    if place is None:
        raise InputError(f"{folder}: adapters, and no record of their model: say by --model where it is")
    if not place.is_dir():
        raise InputError(f"{folder}: its adapters belong to the model {place}, which is not there: give --model")
    if scoring.base is not None:
        here = {file.relative_to(place).as_posix(): sha256(file) for file in _weights(place)}
        if here != scoring.base.sha256:
            raise InputError(
                f"{folder}: its adapters were trained on another model than the one in {place} is now: give that one"
            )
    return place


def _classifier(checkpoint: Checkpoint, dtype: torch.dtype, *, complete: bool, how: Quantized | None) -> Any:
    """The model; where it must be `complete` InputError for weights that its files lack, such as a head."""
    with usable(str(checkpoint.folder), "no sequence classifier can be made of it"):
        model, report = AutoModelForSequenceClassification.from_pretrained(
            checkpoint.folder,
            config=checkpoint.config,
            dtype=dtype,
            **quantized(checkpoint.config, how, dtype),
            ignore_mismatched_sizes=True,  # refused below
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    lacking = [*map(str, report["missing_keys"]), *(str(entry[0]) for entry in report["mismatched_keys"])]
    if complete and lacking:
        raise InputError(
            f"model {checkpoint.folder}: has no head with two labels ({preview(sorted(lacking))} missing): it is no "
            "fine-tuned student"
        )
    keep_trainable(model)
    keep_in_float32(model, find_head(model))
    return model


def _adapted(model: Any, folder: Path) -> Any:
    try:
        from peft import PeftModel
    except ImportError as error:
        raise InputError("adapters need peft: pip install 'w2s-probes[models]'") from error
    with usable(str(folder), "its adapters do not fit its model"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PeftModel.from_pretrained(model, folder)
