"""Folders of one safetensors file a prompt: what each program calls its files, tensors, layers and tokens."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, preview
from .last_entry import LastEntry
from .lmprobe_v1 import read_first_form
from .safetensors_files import read_safetensors
from .saved import Saved

ENDING = ".safetensors"
ALL = "all"  # every token of a file
TOKENS = {"last": -1, "first": 0}  # positions that are one vector of the file, and so kept bit for bit


@dataclass(frozen=True)
class PromptVectors:
    """What one prompt's file holds, mapped and not read: by layer a vector, or one a token, and which tokens."""

    words: Mapping[int, NDArray[Any]]  # (width,) by our layer; at position `all` (tokens, width)
    dtype: str  # as the file names it
    sites: Mapping[int, str]
    tokens: NDArray[np.int64] | None = None  # their ids; None: it does not say
    count: int | None = None  # how many there were; None: it does not say


class Layout(Protocol):
    """How a program writes a prompt's file. Nothing else knows its names."""

    source: str  # what the layout was read from
    last_entry: LastEntry | None  # what the model's last layer is in it; None: it may be either

    def files(self, folder: Path, rows: pd.DataFrame, where: str) -> list[Path]:
        """The file of each row (id, and text where there is one); InputError where a row has none."""
        ...

    def read(self, path: Path, position: str, layers: Sequence[int] | None) -> PromptVectors:
        """The vectors at a position, of the layers named or of all; InputError for what is not of this layout."""
        ...


class VllmLayout:
    """`ID.safetensors` with `hidden_states` (tokens, layers, width), layers as the engine was asked for them.

    vLLM's page says that an id of `num_hidden_layers` is the last block's output, not normalized: its ids are ours.
    """

    source = "vLLM's ExampleHiddenStatesConnector (docs/features/speculative_decoding/extract_hidden_states.md, 2026)"
    last_entry: LastEntry | None = "pre-norm"

    def files(self, folder: Path, rows: pd.DataFrame, where: str) -> list[Path]:
        """The files, each called as its row's id; InputError for one of no row, too: an engine served other prompts."""
        ids = rows["id"].tolist()
        there = {path.name.removesuffix(ENDING): path for path in folder.iterdir() if path.name.endswith(ENDING)}
        if lacking := [name for name in ids if name not in there]:
            raise InputError(
                f"{folder}: no file for {len(lacking)} of {len(ids)} rows of {where} ({preview(lacking, 6)}): each is "
                f"called as its row's id, as in {lacking[0]}{ENDING}"
            )
        if more := sorted(there.keys() - set(ids)):
            raise InputError(
                f"{folder}: {len(more)} files of no row of {where} ({preview(more, 6)}): add them, or move them"
            )
        return [there[name] for name in ids]

    def read(self, path: Path, position: str, layers: Sequence[int] | None) -> PromptVectors:
        """The states at the first or the last token, or at every one."""
        if layers is None or position not in (*TOKENS, ALL):
            raise InputError("--layout vllm: say the engine's --layers, and --position last, first or all")
        saved = read_safetensors(path)
        states, tokens = _tensor(saved, "hidden_states", path), _tensor(saved, "token_ids", path)
        if states.ndim != 3 or states.shape[1] != len(layers):
            raise InputError(
                f"{path}: hidden_states has shape {states.shape}, but --layers names {len(layers)}: it must be "
                f"(tokens, {len(layers)}, width)"
            )
        if not len(states):
            raise InputError(f"{path}: holds no token: leave the row out, or serve it again")
        if tokens.shape != states.shape[:1] or saved.dtypes["token_ids"] not in ("I64", "I32"):
            raise InputError(
                f"{path}: states of {len(states)} tokens, but token_ids of shape {tokens.shape} and kind "
                f"{saved.dtypes['token_ids']}: only a part of the prompt was saved; serve it again without chunked "
                "prefill and without prefix caching"
            )
        at: Any = slice(None) if position == ALL else TOKENS[position]
        words = {layer: states[at, slot] for slot, layer in enumerate(layers)}
        sites = {layer: f"imported hidden_states[:, {slot}]" for slot, layer in enumerate(layers)}
        return PromptVectors(words, saved.dtypes["hidden_states"], sites, tokens.astype(np.int64), len(tokens))


class LmprobeLayout:
    """`HASH.safetensors`, the hash of the text, with `layer_3` (1, tokens, width) and `attention_mask`, or pooled ones.

    Where a row has no such file, the folder `HASH` of its first form is read (`lmprobe_v1`). Its layer i is what block
    i hands on, counted from 0: our layer i + 1. A cache holds other prompts, too.
    """

    source = "lmprobe 0.10.3, lmprobe/cache.py (formats v2 and v1)"
    last_entry: LastEntry | None = None  # its backends have `apply_final_norm`, of which the files keep nothing
    pooled: Mapping[str, str] = {"last": "last_token", "first": "first_token", "mean": "mean"}

    def files(self, folder: Path, rows: pd.DataFrame, where: str) -> list[Path]:
        """The files or folders, each called as the first 16 hexadecimal digits of the SHA-256 of its row's text."""
        if "text" not in rows:
            raise InputError(f"{where}: lmprobe's files are found by the rows' `text`, and there is none")
        if models := sorted(path.parent.name for path in folder.glob("*/_model_name.txt")):
            raise InputError(f"{folder}: holds the caches of {preview(models, 6)}: give the folder of one model")
        paths = [folder / f"{lmprobe_hash(str(text))}{ENDING}" for text in rows["text"]]
        first_form = [path.with_name(path.name.removesuffix(ENDING)) for path in paths]
        paths = [
            old if old.is_dir() and not path.is_file() else path for path, old in zip(paths, first_form, strict=True)
        ]
        if lacking := [name for name, path in zip(rows["id"], paths, strict=True) if not path.exists()]:
            if (folder / "_shard_index.json").is_file():
                raise InputError(
                    f"{folder}: rows {preview(lacking, 6)} lie in shards of a dataset: bring it here, by `w2s pull "
                    "hf://datasets/NAME/DATASET FOLDER`, and give FOLDER"
                )
            raise InputError(
                f"{folder}: no file for {len(lacking)} of {len(paths)} rows of {where} ({preview(lacking, 6)}): each "
                "is called by the hash of its text, which must be to the letter what lmprobe was given"
            )
        return paths

    def read(self, path: Path, position: str, layers: Sequence[int] | None) -> PromptVectors:
        """The pooled vectors, where the file has them, or the token's; padding is told by the mask."""
        saved = read_first_form(path) if path.is_dir() else read_safetensors(path)
        pooled = {} if position == ALL else _numbered(saved, f"pooled_{self.pooled[position]}_layer_")
        raw = _numbered(saved, "layer_")
        wanted = pooled.keys() | raw.keys() if layers is None else set(layers)
        is_pooled = bool(pooled) and wanted <= pooled.keys()
        use = pooled if is_pooled else raw
        if missing := sorted(wanted - use.keys()):
            there = preview(sorted(pooled.keys() | raw.keys()), 40)
            raise InputError(f"{path}: no layer {missing[0]} (its block {missing[0] - 1}); it holds {there}")
        if not wanted:
            raise InputError(f"{path}: no tensor called layer_0, layer_1, ...: not of --layout lmprobe")
        tokens, count, length = self._tokens(path), None, 0
        at: Any = 0
        if not is_pooled:
            if position not in (*TOKENS, ALL):
                raise InputError(
                    f"{path}: holds tokens and no pooled mean: --position last, first or all, or pool by mean"
                )
            mask = _tensor(saved, "attention_mask", path).reshape(-1)
            real, length = np.flatnonzero(mask), len(mask)
            if not len(real):
                raise InputError(f"{path}: its attention_mask holds no token")
            count, at = len(real), real if position == ALL else int(real[TOKENS[position]])
        words = {}
        for layer in sorted(wanted):
            array = saved.arrays[use[layer]]
            shape = (1, array.shape[-1]) if is_pooled else (1, length, array.shape[-1])
            if array.shape != shape:
                raise InputError(f"{path}: {use[layer]} has shape {array.shape}, not {shape}: not of --layout lmprobe")
            words[layer] = array[0] if is_pooled else array[0, at]
        kinds = sorted({saved.dtypes[use[layer]] for layer in words})
        if len(kinds) > 1:
            raise InputError(f"{path}: layers of several number formats ({preview(kinds)}): one store has one")
        if tokens is not None and count is not None and len(tokens) != count:
            raise InputError(f"{path}: {count} tokens by its mask, and {len(tokens)} in the file beside it")
        return PromptVectors(words, kinds[0], {k: f"imported {use[k]}" for k in words}, tokens, count)

    def _tokens(self, path: Path) -> NDArray[np.int64] | None:
        """The token ids of the file beside it, which lmprobe writes with perplexities."""
        beside = path.with_name(path.name.removesuffix(ENDING) + ".perplexity" + ENDING)
        if not beside.is_file():
            return None
        saved = read_safetensors(beside)
        return saved.arrays["token_ids"].reshape(-1).astype(np.int64) if "token_ids" in saved.arrays else None


LAYOUTS: Mapping[str, Layout] = {"vllm": VllmLayout(), "lmprobe": LmprobeLayout()}


def lmprobe_hash(text: str) -> str:
    """The name of lmprobe's file of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _tensor(saved: Saved, name: str, path: Path) -> NDArray[Any]:
    if name not in saved.arrays:
        raise InputError(f"{path}: no tensor {name!r}, but {preview(list(saved.arrays), 6)}: not of this --layout")
    return saved.arrays[name]


def _numbered(saved: Saved, prefix: str) -> dict[int, str]:
    """The tensors called by a prefix and a block's number, by our layer."""
    found = (re.fullmatch(re.escape(prefix) + "([0-9]{1,5})", name) for name in saved.arrays)
    return {int(match[1]) + 1: match[0] for match in sorted(filter(None, found), key=lambda match: int(match[1]))}
