"""Models by name, described without loading their weights."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import MODEL_FOR_TEXT_ENCODING_MAPPING, AutoModel, AutoModelForTextEncoding

from w2s_probes.checkpoints.blocks import find_blocks, trunk_of
from w2s_probes.checkpoints.files import WEIGHTS
from w2s_probes.checkpoints.loading import read_config, read_tokenizer, usable
from w2s_probes.checkpoints.tokens import window
from w2s_probes.errors import InputError, did_you_mean
from w2s_probes.store.dtypes import WORDS, StoredDtype

from .checkpoints import ADAPTER, Trust, find_folder, is_hub_id, stored_depth, tensors_header

NDIF = "ndif:"  # begins the `weights` of a model that runs there
DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}  # as safetensors headers spell them


@dataclass(frozen=True)
class ModelSource:
    """A transformers checkpoint on disk, described without loading its weights."""

    name: str  # as the user gave it
    folder: Path
    weights: str  # identity: hub id and commit, or a hash of the files; empty where only the config was looked for
    blocks: str | None = None  # path of the list of blocks, where it cannot be found
    trust: Trust = field(default_factory=Trust)
    remote: bool = False  # run on NDIF, by whatever weights are deployed there; here are config and tokenizer only
    revision: str | None = None  # that NDIF is asked for; None: whatever it has

    @classmethod
    def find(
        cls,
        name: str,
        *,
        revision: str | None = None,
        blocks: str | None = None,
        trust: Trust | None = None,
        remote: bool = False,
    ) -> "ModelSource":
        """Resolve a model's name (see `checkpoints.find_folder`); InputError if nothing usable is there.

        A `remote` model is a hub id that NDIF knows: its weights are neither downloaded nor checked.
        """
        trust = trust or Trust()
        if remote:
            return cls._on_ndif(name, revision, blocks, trust)
        return cls(name, *find_folder(name, revision, trust), blocks, trust)

    @classmethod
    def _on_ndif(cls, name: str, revision: str | None, blocks: str | None, trust: Trust) -> "ModelSource":
        if not is_hub_id(name):
            raise InputError(f"model {name}: --remote runs models of the hub, and this is a folder: give a hub id")
        folder, _ = find_folder(name, revision, Trust(), weights=False)
        # The server's weights, but the tokens of this config and tokenizer.
        weights = f"{NDIF}{name}@{revision or 'deployed'}+config@{folder.name}"
        source = cls(name, folder, weights, blocks, remote=True, revision=revision)
        source.refuse_if_remote(trust_remote_code=trust.remote_code, allow_pickle=trust.pickle)
        return source

    @classmethod
    def describe(cls, name: str, *, revision: str | None = None, blocks: str | None = None) -> "ModelSource":
        """The model's config, and its tokenizer if it has one; weights are neither needed nor downloaded."""
        return cls(name, *find_folder(name, revision, Trust(), weights=False), blocks)

    def refuse_if_remote(self, **options: object) -> None:
        """InputError if any of these options is set and the model runs on NDIF, where they have no effect."""
        for name, value in options.items():
            if self.remote and value:
                option = "--" + name.replace("_", "-")
                raise InputError(f"{option} and --remote exclude each other: NDIF decides how its models are loaded")

    @cached_property
    def config(self) -> Any:
        """The model's transformers config."""
        return read_config(self.name, self.folder, remote_code=self.trust.remote_code)

    @cached_property
    def skeleton(self) -> nn.Module:
        """The trunk's module tree without weights."""
        with usable(self.name, "no model can be built from its config"), torch.device("meta"):
            return trunk_of(auto_class(self.config).from_config(self.config, trust_remote_code=self.trust.remote_code))

    @cached_property
    def block_path(self) -> str:
        """The path of the list of blocks, seen from the trunk."""
        return find_blocks(self.skeleton, self.config, self.blocks)

    @property
    def depth(self) -> int:
        """The number of blocks."""
        return len(self.skeleton.get_submodule(self.block_path))  # type: ignore[arg-type]

    @property
    def width(self) -> int:
        """The size of the residual stream."""
        named = getattr(self.text_config, "hidden_size", None)
        if isinstance(named, int):
            return named
        return int(self._embeddings.weight.shape[1])  # a config of a class of its own need not say it

    @property
    def text_config(self) -> Any:
        """The config of the part that reads the text: of an encoder-decoder the encoder's."""
        return getattr(self.skeleton, "config", self.config).get_text_config()

    @property
    def own_dtype(self) -> str:
        """The dtype that the config names, or else that of the stored weights."""
        named = str(getattr(self.config, "dtype", None)).removeprefix("torch.")
        if named in WORDS:
            return named
        weights = (file for file in self.folder.glob(WEIGHTS) if not file.name.startswith("adapter_"))
        first = min(weights, default=None)
        if first is None:
            raise InputError(f"model {self.name}: its config names no dtype: choose one by --dtype {', '.join(WORDS)}")
        try:
            header = tensors_header(first)
            sizes: dict[str, int] = {}
            for name, tensor in header.items():
                if name != "__metadata__":
                    begin, end = tensor["data_offsets"]
                    sizes[tensor["dtype"]] = sizes.get(tensor["dtype"], 0) + end - begin
        except (ValueError, KeyError, TypeError, OSError, MemoryError, OverflowError, RecursionError) as error:
            raise InputError(f"{first}: not a readable safetensors file; download or save the model again") from error
        most = max(sizes, key=sizes.__getitem__, default="")  # a few tensors are often kept in float32
        if most not in DTYPES:
            raise InputError(f"{first}: weights of dtype {most or 'nothing'}; choose one by --dtype {', '.join(WORDS)}")
        return DTYPES[most]

    def stored_dtype(self, dtype: str) -> StoredDtype:
        """The dtype in which activations are computed and stored: the named one, or with "auto" the model's own."""
        name = self.own_dtype if dtype == "auto" else dtype
        if name not in WORDS:
            raise InputError(f"dtype {dtype!r}: {did_you_mean(dtype, ['auto', *WORDS])}")
        return name

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return read_tokenizer(self.name, self.folder, remote_code=self.trust.remote_code)

    @cached_property
    def vocabulary(self) -> int:
        """The number of tokens that the model knows: the rows of its table, or without one the number in its config."""
        try:
            return int(self._embeddings.weight.shape[0])
        except InputError:
            for name in ("vocab_size", "src_vocab_size"):
                if isinstance(size := getattr(self.text_config, name, None), int):
                    return size
            raise

    @cached_property
    def _embeddings(self) -> Any:
        """The table of tokens (tokens, width), without its values."""
        with usable(self.name, "it has no table of tokens"):
            table: Any = self.skeleton.get_input_embeddings()  # type: ignore[operator]  # every model has it
            _ = table.weight.shape
            return table

    @property
    def remarks(self) -> list[str]:
        """Properties of these files that a user may not expect, a sentence each; none of them is an error."""
        remarks = []
        if (self.folder / ADAPTER).is_file():
            remarks.append(
                f"model {self.name}: {ADAPTER} lies beside the weights, and transformers adds that adapter to them: "
                "move it away if it has been merged"
            )
        stored = stored_depth(self.folder, self.block_path)
        if stored > self.depth:
            remarks.append(
                f"model {self.name}: its config says {self.depth} blocks and its files hold {stored}: the first "
                f"{self.depth} are read"
            )
        return remarks

    @property
    def pad(self) -> int:
        """The id that batches are padded with; any that the model knows will do, since the mask hides it."""
        named = self.tokenizer.pad_token_id
        return named if isinstance(named, int) and 0 <= named < self.vocabulary else 0

    @property
    def window(self) -> int | None:
        """The most tokens that the model reads; None where neither tokenizer nor config sets a limit."""
        return window(self.tokenizer, self.text_config, self.skeleton)


def auto_class(config: Any) -> Any:
    """The auto class of transformers that makes the model: of an encoder saved alone, such as T5's, the encoders'."""
    names = getattr(config, "architectures", None) or [""]
    alone = str(names[0]).endswith("EncoderModel") and type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING
    return AutoModelForTextEncoding if alone else AutoModel
