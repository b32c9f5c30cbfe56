"""Small stores to be pushed, and places to push them to."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from w2s_probes import ActivationStore
from w2s_probes.addresses import pull, push
from w2s_probes.store.shards import Content
from w2s_probes.store.writer import StoreWriter

KEY_ID, SECRET = "AKIAPLANTED0000EXAMPLE", "planted/Secret+that/nobody+may/see01"
NOTES = {"model": "/home/alice/models/qwen", "rows_from": ["/home/alice/rows.jsonl"], "device": "cpu"}


def small_store(
    folder: Path,
    layers: tuple[int, ...] = (0, 8, 16),
    *,
    rows: int = 50,
    seed: int = 0,
    ragged: bool = False,
    dtype: Any = "bfloat16",
    more: Mapping[str, Any] | None = None,
) -> ActivationStore:
    """A store of parts of 20 rows; a layer's numbers are the same whatever other layers there are."""
    ids = [f"row-{i}" for i in range(rows)]
    identity = {"weights": f"sha256:{seed}", "layers": list(layers), "position": "all" if ragged else "last"}
    sites = {layer: f"blocks.{layer - 1}" if layer else "input of blocks.0" for layer in layers}
    writer = StoreWriter.open(
        folder,
        identity=identity | dict(more or {}),
        sites=sites,
        depth=16,
        width=8,
        dtype=dtype,
        ids=ids,
        shard_rows=20,
        ragged=ragged,
    )
    for part in writer.missing():
        names = ids[writer.rows_of(part)]
        lengths = np.arange(len(names)) % 4 if ragged else np.ones(len(names), int)
        content = {layer: _words(lengths.sum(), dtype, seed, layer, part) for layer in layers}
        ends = np.concatenate([[0], np.cumsum(lengths)])
        tokens = np.arange(ends[-1], dtype=np.int32)
        writer.write(part, Content(names, content, part, ends, tokens) if ragged else Content(names, content, part))
    store = writer.finish(NOTES)
    assert store is not None
    return store


def _words(count: int, dtype: str, *seeds: int) -> Any:
    values = np.random.default_rng(seeds).normal(size=(count, 8)).astype(np.float32)
    return (values.view(np.uint32) >> 16).astype(np.uint16) if dtype == "bfloat16" else values


def files_of(folder: Path) -> dict[str, bytes]:
    """The files in a folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def assert_same(store: Path, whole: ActivationStore, layers: list[int]) -> None:
    """The folder is a sound store of these layers, with the same words and ids as another."""
    opened = ActivationStore.open(store)
    assert opened.layers == layers
    assert opened.verify().problems == ()
    assert opened.ids.tolist() == whole.ids.tolist()
    for layer in layers:
        assert opened.words(layer).tobytes() == whole.words(layer).tobytes()


def round_trip(acts: ActivationStore, address: str, place: Path, options: dict[str, Any]) -> None:
    """A store goes to an address and comes back a layer at a time; nothing is sent or brought twice."""
    first = push(acts.path, address, options=options)
    layers, parts = acts.layers, len(acts.manifest.shards)
    total, last = len(layers) * parts, layers[-1]
    assert (first.files, first.sent, first.address) == (total, total, address)
    again = push(acts.path, address, options=options)
    assert (again.files, again.sent, again.bytes) == (total, 0, 0)
    steps: list[tuple[str, int, int]] = []
    one = pull(address, place, layers=last, options=options, report=lambda *step: steps.append(step))
    assert (one.files, one.sent) == (parts, parts)
    assert steps == [(f"layer {last}", part + 1, parts) for part in range(parts)]
    assert_same(place, acts, [last])
    two = pull(address, place, layers=str(layers[0]), options=options)
    assert (two.files, two.sent) == (2 * parts, parts)
    assert_same(place, acts, [layers[0], last])
    rest = pull(address, place, options=options)
    assert (rest.files, rest.sent) == (total, total - 2 * parts)
    assert_same(place, acts, layers)
    assert ActivationStore.open(place).manifest.identity == acts.manifest.identity
    assert push(place, address, options=options).sent == 0  # what was pulled is what lies there


@contextmanager
def s3_server(bucket: str) -> Iterator[str]:
    """The address of an S3 server on the loopback with one bucket; its credentials are those above."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        s3_system(f"http://{host}:{port}").mkdir(bucket)
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def s3_system(url: str) -> Any:
    """fsspec's file system of that server."""
    import fsspec

    return fsspec.filesystem("s3", key=KEY_ID, secret=SECRET, endpoint_url=url, skip_instance_cache=True)
