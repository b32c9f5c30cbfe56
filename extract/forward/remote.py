"""The same trace on NDIF: the model stays there, the traced block is sent, and the vectors come back.

nnsight's client has no limit on its patience, checks little, and raises whatever its parts raise; this is where all of
it becomes one line for the user.
"""

import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import httpx
import nnsight
import torch
import websocket
from huggingface_hub.errors import HFValidationError
from huggingface_hub.errors import HTTPError as HubError  # type: ignore[attr-defined]  # of its client, which changes
from nnsight import CONFIG, TransformersModel
from nnsight.intervention.backends.remote import RemoteBackend, RemoteError
from torch import Tensor, nn
from zstandard import ZstdError

from w2s_probes.checkpoints.blocks import find_blocks
from w2s_probes.checkpoints.loading import usable
from w2s_probes.errors import InputError
from w2s_probes.store.dtypes import WORDS, StoredDtype

from ..models.source import ModelSource
from .trace import ActivationReader, Where

TASK = "text-generation"  # part of the name by which NDIF knows a deployment
# Seconds without any sign of life, not even the pings that servers send while a job waits its turn.
SILENCE = 600.0
UNREACHABLE = (websocket.WebSocketException, httpx.HTTPError, OSError)
# Exceptions that nnsight was seen to raise for answers that are not as agreed, such as one without the results.
UNREADABLE = (
    *(ValueError, TypeError, LookupError, UnboundLocalError, EOFError, RuntimeError),
    *(pickle.UnpicklingError, ZstdError),
)


class RemoteReader(ActivationReader):
    """Reads like its parent, but the model runs on NDIF: here it is a tree of modules without weights."""

    def __init__(self, source: ModelSource, dtype: StoredDtype) -> None:
        self._name, self._width, self._dtype = source.name, source.width, dtype
        self._key = os.environ.get("NDIF_API_KEY") or CONFIG.API.APIKEY or ""
        if not self._key:
            raise InputError(f"model {source.name}: no API key for NDIF: set NDIF_API_KEY (https://login.ndif.us)")
        if getattr(source.config, "is_encoder_decoder", False):
            raise InputError(f"model {source.name}: an encoder-decoder, which --remote cannot run: leave it out")
        with usable(source.name, f"no {TASK} model can be built from its config"):
            # Both are given, else they are fetched again; and copied, since nnsight changes how a tokenizer pads.
            served: Any = TransformersModel(
                source.name,
                task=TASK,
                config=source.config,
                tokenizer=deepcopy(source.tokenizer),
                revision=source.revision,
            )
        served.kwargs.pop("config")  # has been used, and would be part of every request
        model: nn.Module = served.pipeline.model
        how = {"backend": self._backend(served)}
        self._begin(model, served, _block_path(source, model), torch.device("cpu"), how)
        nnsight.register("extract.forward.trace")  # its functions travel as source: the server has no such module

    def read(
        self, input_ids: Tensor, attention_mask: Tensor, layers: Sequence[int], position: Where
    ) -> dict[int, Tensor]:
        """See the parent. Raises InputError unless the answer is what was asked for, in the store's dtype.

        torch.OutOfMemoryError where it was the server's memory.
        """
        with self._one_line():
            answer = super().read(input_ids, attention_mask, layers, position)
        vectors = int(attention_mask.sum()) if position == "all" else len(input_ids)
        self._check(answer, layers, vectors)
        return {layer: answer[layer].detach() for layer in layers}  # the server may record gradients

    def _backend(self, served: Any) -> Any:
        """The sender of traces; the hub is asked for the proper spelling of the model's name."""
        try:
            key = served.to_model_key()
        except (HubError, HFValidationError, OSError) as error:
            raise InputError(
                f"model {self._name}: the hub, which knows it by its proper name, cannot be asked "
                f"({_brief(error)}): check the name, the network and HF_HUB_OFFLINE"
            ) from error
        try:
            backend = RemoteBackend(key, api_key=self._key)
        except ValueError as error:
            raise InputError(f"NDIF_HOST {CONFIG.API.HOST!r}: must begin with http:// or https://") from error
        backend.display = _Patience()
        return backend

    @contextmanager
    def _one_line(self) -> Iterator[None]:
        before = websocket.getdefaulttimeout()
        websocket.setdefaulttimeout(SILENCE)
        try:
            yield
        except RemoteError as error:  # the server's words are all there is
            words = self._without_key(_gist(str(error)))
            if "out of memory" in words or "OutOfMemoryError" in words:
                raise torch.OutOfMemoryError(words) from error
            raise InputError(f"model {self._name}: NDIF says: {words}") from error
        except UNREACHABLE as error:
            reason = self._without_key(f"{type(error).__name__}: {_brief(error)}")
            raise InputError(
                f"model {self._name}: no answer from {CONFIG.API.HOST} ({reason}): check the network; what is done is "
                "kept, and the same command goes on from there"
            ) from error
        except UNREADABLE as error:
            reason = self._without_key(f"{type(error).__name__}: {_brief(error)}")
            raise InputError(f"model {self._name}: NDIF's answer holds no vectors ({reason}): try again") from error
        finally:
            websocket.setdefaulttimeout(before)

    def _check(self, answer: dict[int, Any], layers: Sequence[int], vectors: int) -> None:
        """InputError unless the answer holds these layers with this number of vectors, in the store's dtype."""
        if set(answer) != set(layers):
            raise InputError(
                f"model {self._name}: NDIF sent layers {sorted(map(str, answer))} when asked for {sorted(layers)}"
            )
        for layer, states in answer.items():
            shape = tuple(getattr(states, "shape", ()))
            if shape != (vectors, self._width):
                raise InputError(
                    f"model {self._name}: NDIF sent layer {layer} as {shape}, expected {(vectors, self._width)}: is "
                    "another --revision deployed there?"
                )
            dtype = str(states.dtype).removeprefix("torch.")
            if dtype != self._dtype:
                remedy = f"give --dtype {dtype}" if dtype in WORDS else "no store holds that"
                raise InputError(
                    f"model {self._name}: NDIF computes in {dtype}, and the store is to hold {self._dtype}: {remedy}"
                )

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]")


class _Patience:
    """Stands where nnsight shows a job's progress: shows none, and does not wait for ever on a dead connection."""

    enabled = False

    def update(self, response: Any) -> None:
        """A sign of life."""

    def refresh(self) -> None:
        """Called when nothing came in the time allowed."""
        raise TimeoutError(f"no sign of life for {SILENCE:.0f} seconds")


def _block_path(source: ModelSource, model: nn.Module) -> str:
    """The path of the blocks in the whole model; the user named it, if at all, as seen from the trunk."""
    named = source.blocks
    if named is not None:
        inside = f"{getattr(model, 'base_model_prefix', '')}.{named}"
        lists = {name for name, module in model.named_modules() if isinstance(module, nn.ModuleList)}
        named = inside if named not in lists and inside in lists else named
    return find_blocks(model, source.config, named)


def _gist(text: str) -> str:
    """The line of a message that names the fault: of a traceback the last, else the first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["nothing"]
    return (lines[-1] if lines[0].startswith("Traceback") else lines[0])[:200]


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
