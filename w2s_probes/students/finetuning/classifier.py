"""A checkpoint as a trainable classifier with two labels, or a speaker of two words: loaded, adapters put in."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from ...checkpoints.files import has_weights, refuse_no_checkpoint, refuse_own_code
from ...checkpoints.loading import read_config, read_tokenizer, usable
from ...checkpoints.tokens import window
from ...errors import InputError, preview
from ...randomness import torch_seed
from .label_speaker import LabelSpeaker, Says, WordsHead, speaking_model
from .model_heads import expert_tensors, find_head, initialise, is_projection, keep_in_float32, lora_targets
from .quantizing import keep_trainable, quantized
from .settings import FineTuning


@dataclass(frozen=True)
class Checkpoint:
    """A transformers checkpoint on disk whose config and tokenizer have been read."""

    folder: Path
    config: Any
    tokenizer: Any

    @classmethod
    def open(cls, folder: Path | str) -> "Checkpoint":
        """InputError where no usable checkpoint is there, or one of an encoder-decoder."""
        folder = Path(folder).expanduser()
        name = str(folder)
        refuse_no_checkpoint(name, folder, "give the folder of a transformers checkpoint")
        refuse_own_code(name, folder, "give a model whose classes transformers has")
        if not has_weights(folder):
            raise InputError(f"model {name}: no weights in safetensors; save it again with save_pretrained")
        config = read_config(name, folder, num_labels=2)
        if config.is_encoder_decoder:
            raise InputError(
                f"model {folder}: an encoder-decoder ({config.model_type}) cannot be the student: give a decoder such "
                "as Llama, or an encoder such as BERT"
            )
        return cls(folder, config, read_tokenizer(name, folder))

    def window(self, model: nn.Module) -> int | None:
        """The most tokens that the model reads; None where neither tokenizer nor config sets a limit."""
        return window(self.tokenizer, self.config.get_text_config(), model)

    def classifier(self, settings: FineTuning, *, seed: int, dtype: torch.dtype) -> Any:
        """The model with a new head, everything that is to be trained in float32; torch's random state is changed.

        With `dtype` bfloat16 the frozen weights of a LoRA student are kept in it. InputError where transformers
        has no sequence classifier of this architecture, or the weights do not fit the config.
        """
        frozen = dtype if settings.kind == "lora" else torch.float32
        torch.default_generator.manual_seed(torch_seed(seed, "weights that the checkpoint lacks"))
        with usable(str(self.folder), "no sequence classifier can be made of it"):
            model, report = AutoModelForSequenceClassification.from_pretrained(
                self.folder,
                config=self.config,
                dtype=frozen,
                **quantized(self.config, settings.quantize, frozen),
                ignore_mismatched_sizes=True,  # of a head with other labels; others are refused below
                use_safetensors=True,
                trust_remote_code=False,  # else transformers asks, at a terminal, whether to run it
                output_loading_info=True,
            )
        keep_trainable(model)
        head = find_head(model)
        wrong = {str(name) for name in report["missing_keys"]} | {str(entry[0]) for entry in report["mismatched_keys"]}
        lacking = sorted(name for name in wrong if not head.holds(name))
        if lacking:
            raise InputError(
                f"model {self.folder}: the weights do not fit the config, {len(lacking)} are missing: "
                f"{preview(lacking)}"
            )
        generator = torch.Generator().manual_seed(torch_seed(seed, "head"))
        keep_in_float32(model, head)
        initialise(model, head, scale=settings.head_scale, missing=wrong, generator=generator)
        self._prepare(model, settings)
        return model if settings.kind == "full" else with_adapters(model, settings, head.modules, seed)

    def speaker(self, settings: FineTuning, says: Says, *, seed: int, dtype: torch.dtype) -> LabelSpeaker:
        """The causal model that is to say the words of labels; no weight of it is new but for adapters.

        `seed` and `dtype` as above. InputError where the checkpoint has no language-model head.
        """
        if settings.max_length is not None:
            raise InputError(
                f"max_length = {settings.max_length} cuts texts, and a prompt is never cut, for its end is where the "
                "answer stands: leave it out"
            )
        frozen = dtype if settings.kind == "lora" else torch.float32
        speaker = LabelSpeaker(speaking_model(self.folder, self.config, frozen), says.words, settings.over)
        self._prepare(speaker.model, settings)
        if settings.kind == "lora":
            speaker.model = with_adapters(speaker.model, settings, [], seed)
        return speaker

    def _prepare(self, model: Any, settings: FineTuning) -> None:
        for config in (model.config, model.config.get_text_config()):
            config.use_cache = False  # else every pass also keeps keys and values for a next token
        if settings.gradient_checkpointing:
            with usable(str(self.folder), "it cannot trade time for memory: set gradient_checkpointing = false"):
                model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def with_adapters(model: Any, settings: FineTuning, head: list[str], seed: int) -> Any:
    """The model in peft's wrapper: frozen but for its new `head`, if any, and new low-rank adapters.

    InputError without peft, and for an adapter of a language-model head.
    """
    try:
        from peft import LoraConfig, TaskType, get_peft_model
    except ImportError as error:
        raise InputError("LoRA needs peft: pip install 'w2s-probes[models]', or choose kind = 'full'") from error
    targets = lora_targets(model, settings.lora_targets)
    chosen = [m for n, m in model.named_modules() if any(n == t or n.endswith(f".{t}") for t in targets)]
    tensors = expert_tensors(model)
    if not head and any(isinstance(module, WordsHead) for module in chosen):
        raise InputError("lora_targets: the language-model head stays as it is: leave it out")
    experts = [t for t in targets if any(n == t or n.endswith(f".{t}") for n in tensors)]
    torch.default_generator.manual_seed(torch_seed(seed, "adapters"))
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS if head else TaskType.CAUSAL_LM,
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,  # it only divides it
        lora_dropout=0.0,
        target_modules=[target for target in targets if target not in experts],
        target_parameters=experts or None,
        modules_to_save=head or None,
        fan_in_fan_out=all(not isinstance(m, nn.Linear) for m in chosen if is_projection(m)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by an older name
        return get_peft_model(model, config)


def set_padding(checkpoint: Checkpoint, model: Any, used: set[int]) -> int:
    """The id that batches are padded with, told to the model's config and the tokenizer.

    A decoder takes the last token that is not this one for a text's end. So it must be none of those `used` in the
    texts, though some tokenizers, such as GPT-2's, have no other than the end-of-text token, and others none at all.
    """
    tokenizer, size = checkpoint.tokenizer, int(model.get_input_embeddings().weight.shape[0])
    usual = [tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id]
    named = sorted(set(tokenizer.get_vocab().values()), reverse=True)
    pad: int | None = next((i for i in [*usual, *named] if i is not None and i < size and i not in used), None)
    if pad is None:
        raise InputError(f"model {checkpoint.folder}: the texts use every token, so none is left for padding: add one")
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(pad)
    for config in (model.config, model.config.get_text_config()):
        config.pad_token_id = pad
    return pad
