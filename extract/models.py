"""Models by name: a local folder, a hub id, or a folder inside an installed package; weights are loaded when used."""

import hashlib
import importlib.util
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

from w2s_probes.dtypes import WORDS
from w2s_probes.errors import InputError, some
from w2s_probes.files import sha256

from .blocks import find_blocks

WEIGHTS = "*.safetensors"
PACKAGE = "package:"
UNLIMITED = 10**9
# What transformers was seen to raise on damaged or contradictory files.
BROKEN: tuple[type[Exception], ...] = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, ImportError, ArithmeticError, AssertionError),
    *(RuntimeError, SafetensorError, StrictDataclassError),
)
DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}  # as safetensors headers spell them


@dataclass(frozen=True)
class ModelSource:
    """A transformers checkpoint on disk, described without loading its weights."""

    name: str  # as the user gave it
    folder: Path
    weights: str  # identity: hub id and commit, or a hash of the files
    blocks: str | None = None  # path of the list of blocks, where it cannot be found

    @classmethod
    def find(cls, name: str, *, revision: str | None = None, blocks: str | None = None) -> "ModelSource":
        """Resolve a model's name; InputError if nothing usable is there.

        `name` is a folder, `package:NAME/FOLDER` for a folder in an installed package (found without importing
        it), or a hub id, which is downloaded once. Weights must be safetensors: pickle files can run code.
        """
        if name.startswith(PACKAGE):
            folder = _in_package(name)
        elif Path(name).expanduser().exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
            folder = Path(name).expanduser()
        else:
            return cls(name, *_from_hub(name, revision), blocks)
        if not (folder / "config.json").is_file():
            what = "no config.json there" if folder.is_dir() else "no such folder"
            raise InputError(f"model {name}: {what}; give a transformers checkpoint or a hub id")
        if not list(folder.glob(WEIGHTS)):
            raise InputError(
                f"model {name}: the folder has no weights ({WEIGHTS}); pickle files are not read: save the model "
                "again with model.save_pretrained(folder)"
            )
        return cls(name, folder, _hash_files(folder), blocks)

    @cached_property
    def config(self) -> Any:
        """The model's transformers config."""
        with _usable(self.name, "its config cannot be used"):
            return AutoConfig.from_pretrained(self.folder)

    @cached_property
    def skeleton(self) -> nn.Module:
        """The module tree without weights."""
        with _usable(self.name, "no model can be built from its config"), torch.device("meta"):
            return AutoModel.from_config(self.config)  # type: ignore[no-any-return]

    @cached_property
    def block_path(self) -> str:
        """Where the blocks are."""
        return find_blocks(self.skeleton, self.config, self.blocks)

    @property
    def depth(self) -> int:
        """How many blocks the model has."""
        return len(self.skeleton.get_submodule(self.block_path))  # type: ignore[arg-type]

    @property
    def width(self) -> int:
        """Size of the residual stream."""
        return int(self.config.get_text_config().hidden_size)

    @property
    def own_dtype(self) -> str:
        """The dtype that the config names, or else that of the stored weights."""
        named = str(getattr(self.config, "dtype", None)).removeprefix("torch.")
        if named in WORDS:
            return named
        first = min(self.folder.glob(WEIGHTS))
        try:
            with first.open("rb") as stream:
                header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
            sizes: dict[str, int] = {}
            for name, tensor in header.items():
                if name != "__metadata__":
                    begin, end = tensor["data_offsets"]
                    sizes[tensor["dtype"]] = sizes.get(tensor["dtype"], 0) + end - begin
        except (ValueError, KeyError, TypeError, OSError, MemoryError, OverflowError) as error:
            raise InputError(f"{first}: not a readable safetensors file; download or save the model again") from error
        most = max(sizes, key=sizes.__getitem__, default="")  # a few tensors are often kept in float32
        if most not in DTYPES:
            raise InputError(f"{first}: weights of dtype {most or 'nothing'}; choose one by --dtype {', '.join(WORDS)}")
        return DTYPES[most]

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        with _usable(self.name, "no usable tokenizer"):
            return AutoTokenizer.from_pretrained(self.folder)

    @property
    def window(self) -> int | None:
        """The most tokens that the model reads; None where neither tokenizer nor config sets a limit."""
        text = self.config.get_text_config()
        limits: list[Any] = [self.tokenizer.model_max_length, getattr(text, "max_position_embeddings", None)]
        # A tokenizer without a limit says so by a number of thirty digits; a model may say -1.
        return min((int(n) for n in limits if isinstance(n, int | float) and 0 < n < UNLIMITED), default=None)

    def load(self, dtype: str, device: torch.device) -> nn.Module:
        """The trunk (no language-model head), in evaluation mode.

        Raises InputError where the checkpoint lacks weights that the activations depend on: transformers would
        fill them with random numbers.
        """
        with _usable(self.name, "its weights cannot be loaded"):
            model, report = AutoModel.from_pretrained(
                self.folder, dtype=getattr(torch, dtype), use_safetensors=True, output_loading_info=True
            )
        missing = sorted(name for name in report["missing_keys"] if "pooler" not in name)  # poolers are never run
        if missing:
            raise InputError(
                f"model {self.name}: the weights do not fit the config, {len(missing)} are missing: {some(missing)}"
            )
        model.config.use_cache = False  # else every forward pass also keeps keys and values for a next token
        trunk: nn.Module = model.eval().requires_grad_(False).to(device)
        return trunk


@contextmanager
def _usable(name: str, what: str) -> Iterator[None]:
    """Load quietly; any way in which transformers fails on a user's files is the files' fault."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # else: a table of head weights, which are left out on purpose
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except BROKEN as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"model {name}: {what} ({reason})") from error
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()


def _in_package(name: str) -> Path:
    package, _, folder = name.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"model {name}: no package {package!r} is installed; install it with pip")
    return Path(spec.submodule_search_locations[0]) / folder


def _from_hub(name: str, revision: str | None) -> tuple[Path, str]:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(
            snapshot_download(name, revision=revision, allow_patterns=[WEIGHTS, "*.json", "*.model", "*.txt"])
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(
            f"model {name}: neither a folder here nor a model that the hub gives out ({type(error).__name__}): check "
            "the name, the network, and for gated models `hf auth login`"
        ) from error
    if not list(folder.glob(WEIGHTS)):
        raise InputError(f"model {name}: has no safetensors weights, and pickle files are not read")
    return folder, f"hub:{name}@{folder.name}"


def _hash_files(folder: Path) -> str:
    """A hash of what decides a local checkpoint's numbers: config, tokenizer and weights, not its path."""
    files = sorted(p for p in folder.iterdir() if p.suffix in (".json", ".safetensors", ".model", ".txt"))
    lines = [f"{p.name} {sha256(p)}" for p in files]
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()
