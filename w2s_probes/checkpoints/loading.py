"""Opening a checkpoint with transformers: quietly, and with one line for all that its files can have wrong."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import logging

from ..errors import InputError

# What transformers was seen to raise on damaged or contradictory files.
BROKEN: tuple[type[Exception], ...] = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, ImportError, ArithmeticError, AssertionError),
    *(RuntimeError, SafetensorError, StrictDataclassError, UnpicklingError, EOFError),
)
BOLD = re.compile(r"\x1b\[\d*m")  # stands in some of torch's messages


@contextmanager
def usable(name: str, fault: str) -> Iterator[None]:
    """Load quietly, and turn any failure of transformers on a user's files into InputError: `model NAME: FAULT (why)`.

    Verbosity and progress bars of transformers are put back as they were.
    """
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # else: a table of head weights, which are left out or made anew on purpose
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        if not isinstance(error, BROKEN) and type(error) is not Exception:  # which is what tokenizers raise
            raise
        reason = " ".join(BOLD.sub("", str(error)).split())[:200] or type(error).__name__
        raise InputError(f"model {name}: {fault} ({reason})") from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def read_config(name: str, folder: Path, *, remote_code: bool = False, **changes: Any) -> Any:
    """The checkpoint's transformers config, with `changes`; InputError where it cannot be used.

    Without `remote_code` no code of the checkpoint is run, and nobody is asked whether it may be.
    """
    with usable(name, "its config cannot be used"):
        return AutoConfig.from_pretrained(folder, trust_remote_code=remote_code, **changes)


def read_tokenizer(name: str, folder: Path, *, remote_code: bool = False) -> Any:
    """The checkpoint's tokenizer; InputError where there is none, or one that knows no word."""
    with usable(name, "no usable tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=remote_code)
        # From a folder without its files transformers may make one that knows nothing but its special tokens.
        if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
            raise ValueError("its files are missing or empty: it knows no word")
        return tokenizer


def refuse_two_way(name: str, config: Any) -> None:
    """InputError for a model whose tokens see those after them, though it is saved with a language-model head.

    A BERT can be made to speak, when its config says that it is a decoder; without that it fills in masked words.
    """
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

    either = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING and type(config) in MODEL_FOR_MASKED_LM_MAPPING
    if either and not (getattr(config, "is_decoder", False) or getattr(config, "causal", False)):
        raise InputError(
            f"model {name}: its tokens see those after them (a {config.model_type} whose config does not say "
            "is_decoder), so it has no next word to say: name a causal model"
        )
