"""`--remote` up to the wire, where a stand-in for NDIF runs what is sent."""

import json
import linecache
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import huggingface_hub
import numpy as np
import pandas as pd
import pytest
import torch
import websocket
import zstandard
from nnsight import CONFIG
from nnsight.modeling import huggingface

from extract import extractor
from extract.extractor import Extraction, extract
from extract.forward import remote
from extract.models.loading import Placement
from extract.models.source import ModelSource
from extract.repair import repair
from tests.conftest import run_failing
from tests.worlds.ndif import KEY, StandIn
from w2s_probes import InputError
from w2s_probes.io.tables import write_table
from w2s_probes.store.activation_store import ActivationStore

Checkpoint = Callable[..., Path]
COMMIT = "4f0c3b0"


@pytest.fixture
def serve(checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., StandIn]:
    """A function that puts a stand-in for NDIF in its place, and the same model's description on the hub."""

    def install(family: str = "llama", dtype: str = "float32") -> StandIn:
        ndif = StandIn(checkpoint(family, dtype))
        described = tmp_path / "hub" / COMMIT
        shutil.copytree(ndif.folder, described, ignore=shutil.ignore_patterns("*.safetensors"))
        monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: str(described))
        monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda _, name: SimpleNamespace(id=name.title()))
        monkeypatch.setattr(huggingface, "_ID_CACHE", {})
        monkeypatch.setattr(websocket, "create_connection", ndif.create_connection)
        monkeypatch.setattr(httpx.Client, "post", lambda _, url, **options: ndif.post(url, **options))
        monkeypatch.setenv("NDIF_API_KEY", KEY)
        return ndif

    return install


def on_ndif(**options: Any) -> ModelSource:
    return ModelSource.find("some-lab/tiny", remote=True, **options)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("position", ["last", "mean", "all"])
def test_a_remote_store_equals_a_local_one(
    serve: Callable[..., StandIn], rows: pd.DataFrame, tmp_path: Path, family: str, position: Any
) -> None:
    ndif, batches = serve(family), Placement(batch_tokens=300)
    found = extract(Extraction.plan(on_ndif(), rows, position=position), tmp_path / "remote", placement=batches)
    local = extract(
        Extraction.plan(str(ndif.folder), rows, position=position),
        tmp_path / "local",
        placement=Placement("cpu", None, 300),
    )
    assert 1 < len(ndif.requests) < 10
    for layer in local.layers:
        assert found.words(layer).tobytes() == local.words(layer).tobytes()
    if position == "all":
        assert found.tokens(1).token_ids.tolist() == local.tokens(1).token_ids.tolist()
    ours, theirs = found.manifest.identity, local.manifest.identity
    assert ours == theirs | {"weights": f"ndif:some-lab/tiny@deployed+config@{COMMIT}"}
    assert found.manifest.notes["remote"]
    assert (found.manifest.notes["device"], found.manifest.sites) == ("NDIF", local.manifest.sites)


def test_the_command_stores_what_ndif_computes(
    serve: Callable[..., StandIn], w2s: Callable[..., None], rows: pd.DataFrame, tmp_path: Path, capsys: Any
) -> None:
    ndif = serve("llama", "bfloat16")
    write_table(rows, tmp_path / "rows.jsonl")
    arguments = ("--rows", tmp_path / "rows.jsonl", "--layers", "0,2", "--dtype", "bfloat16")
    w2s("extract", "some-lab/tiny", "--remote", "--revision", "main", *arguments, "--out", tmp_path / "acts")
    assert "40 rows" in capsys.readouterr().out
    w2s("extract", ndif.folder, *arguments, "--out", tmp_path / "local")
    found, local = ActivationStore.open(tmp_path / "acts"), ActivationStore.open(tmp_path / "local")
    assert found.layer(2) == pytest.approx(local.layer(2), abs=0.02)  # batches differ
    (sent,) = ndif.requests
    assert json.loads(sent.model_key.partition(":")[2])["revision"] == "main"


def test_a_request_holds_the_models_name_the_tokens_and_our_source_and_no_more(
    serve: Callable[..., StandIn], rows: pd.DataFrame, tmp_path: Path
) -> None:
    ndif = serve()
    extract(Extraction.plan(on_ndif(), rows, layers=[1, 2]), tmp_path / "s", placement=Placement(batch_tokens=300))
    key = {"repo_id": "Some-Lab/Tiny", "revision": None, "task": "text-generation"}  # as the hub spells it
    words = rows["text"].str.split()
    seen = 0
    for sent in ndif.requests:
        assert sent.model_key == "nnsight.modeling.transformers.TransformersModel:" + json.dumps(key)
        raw = zstandard.ZstdDecompressor().decompress(sent.blob)
        assert b"def pool" in raw  # in every batch, not in the first alone
        assert not any(text in raw for text in (KEY.encode(), b"LlamaConfig", b"RemoteReader"))
        inputs = ndif.opened(sent).kwargs
        assert set(inputs) == {"input_ids", "attention_mask"}
        lengths = inputs["attention_mask"].sum(dim=1)
        assert torch.equal(inputs["attention_mask"], (torch.arange(lengths.max()) < lengths[:, None]).long())
        for ids, length in zip(inputs["input_ids"].tolist(), lengths.tolist(), strict=True):
            assert [f"w{i - 4}" for i in ids[:length]] in words.tolist()
            assert set(ids[length:]) <= {0}
            seen += 1
    linecache.clearcache()
    assert seen == len(rows)


def test_a_lost_connection_costs_no_finished_part(
    serve: Callable[..., StandIn], rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractor, "SHARD_ROWS", 16)
    ndif = serve()
    whole = extract(Extraction.plan(on_ndif(), rows), tmp_path / "whole")

    def lose(found: Any) -> Any:
        if len(ndif.requests) == 5:
            raise websocket.WebSocketConnectionClosedException("Connection to remote host was lost.")
        return found

    ndif.change = lose
    with pytest.raises(InputError, match=r"no answer from https://api.ndif.us \(WebSocketConn.*lost\.\): .* goes on"):
        extract(Extraction.plan(on_ndif(), rows), tmp_path / "s")
    again = extract(Extraction.plan(on_ndif(), rows), tmp_path / "s")
    assert len(ndif.requests) == 3 + 2 + 2
    assert all(again.words(layer).tobytes() == whole.words(layer).tobytes() for layer in whole.layers)
    monkeypatch.delenv("NDIF_API_KEY")  # what is finished needs nobody
    extract(Extraction.plan(on_ndif(), rows), tmp_path / "s")
    (tmp_path / "s" / again.manifest.shards[0].file).unlink()
    with pytest.raises(InputError, match="made on NDIF, and its model is not here: delete the damaged shards"):
        repair(tmp_path / "s", rows=rows)
    monkeypatch.setenv("NDIF_API_KEY", KEY)
    assert extract(Extraction.plan(on_ndif(), rows), tmp_path / "s").words(1).tobytes() == whole.words(1).tobytes()
    assert len(ndif.requests) == 8


def test_a_batch_beyond_the_servers_memory_is_halved(
    serve: Callable[..., StandIn], rows: pd.DataFrame, tmp_path: Path
) -> None:
    ndif = serve()
    most = 200

    def run_out(found: Any) -> Any:
        if ndif.opened(ndif.requests[-1]).kwargs["input_ids"].numel() > most:
            raise RuntimeError("Traceback (most recent call last):\ntorch.OutOfMemoryError: CUDA out of memory.")
        return found

    ndif.change = run_out
    assert extract(Extraction.plan(on_ndif(), rows), tmp_path / "s").manifest.notes["batch_tokens"] <= most
    most = 0
    with pytest.raises(InputError, match=r"does not fit into the memory of NDIF: lower --max-length$"):
        extract(Extraction.plan(on_ndif(), rows[:2]), tmp_path / "none")


def saying(text: str) -> Callable[[Any], Any]:
    def fail(found: Any) -> Any:
        raise RuntimeError(text)

    return fail


TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 40\nIndexError: index 9 is out of range\n'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (saying("Could not deploy this model.\nSee the status page."), "NDIF says: Could not deploy this model.$"),
        (saying(TRACEBACK), "NDIF says: IndexError: index 9 is out of range$"),
        (saying(f"Unknown key {KEY}."), r"NDIF says: Unknown key \[key\]\.$"),
        (lambda _: {"vectors": {0: torch.zeros(2, 32)}}, r"NDIF sent layers \['0'\] when asked for \[0, 1, 2, 3\]"),
        (lambda a: {"vectors": {i: t[:, :8] for i, t in a["vectors"].items()}}, r"as \(2, 8\), expected \(2, 32\): is"),
        (lambda a: {"vectors": {i: t.bfloat16() for i, t in a["vectors"].items()}}, "float32: give --dtype bfloat16$"),
        (lambda a: {"vectors": {i: t.double() for i, t in a["vectors"].items()}}, "float32: no store holds that$"),
        (lambda _: {}, "NDIF's answer holds no vectors .UnboundLocalError"),
        (lambda _: ["found"], "NDIF's answer holds no vectors"),
    ],
)
def test_what_the_server_says_or_sends_amiss_is_one_line(
    serve: Callable[..., StandIn], rows: pd.DataFrame, tmp_path: Path, change: Callable[[Any], Any], message: str
) -> None:
    serve().change = change
    with pytest.raises(InputError, match=message) as failure:
        extract(Extraction.plan(on_ndif(), rows[:2]), tmp_path / "s")
    assert str(failure.value).startswith("model some-lab/tiny: ")
    assert not (tmp_path / "s").exists()


def test_what_stands_between_us_and_the_server_is_one_line(
    serve: Callable[..., StandIn], rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, ask = websocket.create_connection, huggingface_hub.HfApi.model_info
    ndif = serve()
    write_table(rows[:2], tmp_path / "rows.jsonl")

    def line() -> str:
        return run_failing(
            *("extract", "some-lab/tiny", "--remote", "--rows", tmp_path / "rows.jsonl", "--out", tmp_path / "s")
        )

    def time_out(found: Any) -> Any:
        raise websocket.WebSocketTimeoutException("timed out")

    ndif.change = time_out
    assert "(TimeoutError: no sign of life for 600 seconds)" in line()
    assert websocket.getdefaulttimeout() is None
    monkeypatch.setattr(websocket, "create_connection", connect)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(remote, "SILENCE", 0.2)
        monkeypatch.setattr(CONFIG.API, "HOST", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "(WebSocketTimeoutException: " in line()
    monkeypatch.setattr(CONFIG.API, "HOST", "http://127.0.0.1:9")
    assert "no answer from http://127.0.0.1:9 (ConnectionRefusedError" in line()
    monkeypatch.setattr(CONFIG.API, "HOST", "api.ndif.us")
    assert line().startswith("w2s: NDIF_HOST 'api.ndif.us': must begin with http://")
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", ask)
    huggingface._ID_CACHE.clear()
    assert "the hub, which knows it by its proper name, cannot be asked (Cannot reach" in line()
    monkeypatch.delenv("NDIF_API_KEY")
    monkeypatch.setattr(CONFIG.API, "APIKEY", None)
    assert "no API key for NDIF: set NDIF_API_KEY (https://login.ndif.us)" in line()


def test_what_ndif_decides_cannot_be_asked_for(
    serve: Callable[..., StandIn], checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path
) -> None:
    serve()
    write_table(rows[:2], tmp_path / "rows.jsonl")
    arguments = ("--remote", "--rows", tmp_path / "rows.jsonl", "--out", tmp_path / "s")
    for options in (
        *(("--quantization", "8bit"), ("--device-map", "cpu"), ("--attn", "eager")),
        *(("--trust-remote-code",), ("--allow-pickle",)),
    ):
        assert f"{options[0]} and --remote exclude each other" in run_failing("extract", "a/b", *options, *arguments)
    for name in (checkpoint(), "package:some/folder", "./nowhere"):
        assert "this is a folder: give a hub id" in run_failing("extract", name, *arguments)
    source = on_ndif()
    source.config.is_encoder_decoder = True
    with pytest.raises(InputError, match="an encoder-decoder, which --remote cannot run"):
        remote.RemoteReader(source, "float32")


def test_blocks_are_named_as_seen_from_the_trunk(serve: Callable[..., StandIn], rows: pd.DataFrame) -> None:
    ndif = serve("gpt2")
    named = Extraction.plan(on_ndif(blocks="h"), rows)
    assert named.identity == Extraction.plan(on_ndif(), rows).identity
    engine = named.engine(Placement())
    found = engine.read([np.array([5, 6, 7], np.int32)], ["row"])
    local = Extraction.plan(str(ndif.folder), rows).engine(Placement("cpu"))
    assert found[3].tobytes() == local.read([np.array([5, 6, 7], np.int32)], ["row"])[3].tobytes()
    with pytest.raises(InputError, match=r"no list of blocks at 'transformer.x'"):
        Extraction.plan(on_ndif(blocks="transformer.x"), rows)
