"""A stand-in for NDIF at the wire: it runs what nnsight's client sends on a tiny model, and has none of our modules."""

import io
import json
import linecache
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import httpx
import torch
import websocket
import zstandard
from nnsight import TransformersModel
from nnsight.schema.request import RequestModel
from nnsight.schema.response import ResponseModel, Status
from nnsight.tracing.tracer import _saves, dec, inc
from transformers import AutoTokenizer

KEY = "00000000-0000-4000-8000-000000000000"
OURS = ("extract", "extract.forward", "extract.forward.trace", "w2s_probes.checkpoints.batches", "w2s_probes", "tests")


@dataclass
class StandIn:
    """Answers what nnsight's client calls, `websocket.create_connection` and `httpx.Client.post`, like NDIF."""

    folder: Path  # of the model that it serves
    change: Callable[[Any], Any] = lambda found: found  # what goes wrong with an answer
    requests: list[Any] = field(default_factory=list)
    _answers: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        tokenizer = AutoTokenizer.from_pretrained(self.folder)
        self._served = TransformersModel(str(self.folder), task="text-generation", tokenizer=tokenizer, dispatch=True)

    def create_connection(self, url: str, header: dict[str, str]) -> "StandIn":
        assert (url, header) == ("wss://api.ndif.us/subscribe", {"ndif-api-key": KEY})
        self._answers = [json.dumps({"session_id": "session"})]
        return self

    def recv(self) -> Any:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        pass

    def post(self, url: str, *, data: Any, files: Any, headers: dict[str, str]) -> httpx.Response:
        assert (url, headers["ndif-api-key"]) == ("https://api.ndif.us/request", KEY)
        sent = SimpleNamespace(**json.loads(data["data"]), blob=files["blob"][1])
        assert (sent.session_id, sent.compress) == ("session", True)
        self.requests.append(sent)
        try:
            buffer = io.BytesIO()
            torch.save(self.change({"vectors": self._execute(sent)}), buffer)
            blob = zstandard.ZstdCompressor().compress(buffer.getvalue())
            self._answers.append(ResponseModel(id="job", status=Status.COMPLETED, data=blob).pickle())
        except websocket.WebSocketException as error:
            self._answers.append(error)
        except RuntimeError as error:
            self._answers.append(ResponseModel(id="job", status=Status.ERROR, description=str(error)).model_dump_json())
        received = ResponseModel(id="job", status=Status.RECEIVED).model_dump_json()
        return httpx.Response(200, text=received, request=httpx.Request("POST", url))

    def opened(self, sent: Any) -> Any:
        """A request as the server sees it."""
        objects = self._served._remoteable_persistent_objects()
        return RequestModel.deserialize(sent.blob, objects, compress=sent.compress)

    def _execute(self, sent: Any) -> Any:
        lines = dict(linecache.cache)  # else the opened block stands there in place of the file that it came from
        with patch.dict(sys.modules, dict.fromkeys(OURS)):  # none can be imported
            try:
                tracer = self.opened(sent)
                self._served._remoteable_set_env(sent.env)
                inc()
                tracer.execute(tracer.info.code)
                names = tracer.info.frame.f_locals
                (found,) = (value for value in names.values() if id(value) in _saves())
            finally:
                dec()
                linecache.cache.clear()
                linecache.cache.update(lines)
        return found
