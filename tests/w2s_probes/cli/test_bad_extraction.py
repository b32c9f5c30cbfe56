"""Extractions that cannot be: exit code 2, one line, nothing left behind."""

import os
import re
import resource
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from extract import extractor
from tests.worlds.extracting import extracting, listing, with_classes, with_row, without_safetensors
from w2s_probes import ActivationStore

Call = Callable[..., None]
Failing = Callable[..., str]


BAD: dict[str, tuple[Callable[[Path], list[Any]], str]] = {
    "a row beyond the window": (
        lambda p: extracting(p, "--truncation", "off", rows=with_row(p, "long", "w1 " * 65)),
        r"row 'long' is longer than 64 tokens, and truncation is off: shorten or drop it \(1 such rows among 1\)",
    ),
    "an id that HDF5 would cut": (
        lambda p: extracting(p, rows=with_row(p, "r0\0", "w1")),
        r"id 'r0\\x00' ends in a NUL character",
    ),
    "rows that have changed since the store was begun": (
        lambda p: extracting(p, "--out", p / "begun", rows=with_row(p, "more", "w1")),
        r"begun holds other activations \(rows: '40 rows, \w+' in the store, '41 rows, \w+' asked for\): give another",
    ),
    "an addition to a store that is not finished": (
        lambda p: extracting(p, "--add", "--out", p / "begun", rows=with_row(p, "more", "w1")),
        r"begun: not finished \(20 of 40 rows\): give the same `w2s extract` again",
    ),
    "an addition to no store": (lambda p: extracting(p, "--add"), "new: no such store"),
    "an addition to the cache": (
        lambda p: ["extract", p / "model", "--rows", p / "rows.jsonl", "--add"],
        "--add adds to a store: say by --out to which",
    ),
    "a share beyond the last": (
        lambda p: extracting(p, "--shard", "3/3"),
        "shard '3/3': give i/n with i from 0 to n - 1",
    ),
    "a share that is a word": (lambda p: extracting(p, "--shard", "x"), "shard 'x': give i/n"),
    "a share that nobody numbers": (lambda p: extracting(p, "--shard", "auto"), "shard auto: neither torchrun"),
    "no such device": (
        lambda p: extracting(p, "--device-map", "nonsense"),
        r"device_map 'nonsense': no such device here \(Expected one of cpu",
    ),
    "a device that is not here": (lambda p: extracting(p, "--device-map", "cuda:99"), "'cuda:99': no such device here"),
    "a device without numbers": (lambda p: extracting(p, "--device-map", "meta"), "'meta': no such device here"),
    "no such quantization": (
        lambda p: extracting(p, "--quantization", "nonsense"),
        "quantization 'nonsense': give 8bit, 4bit, or JSON with a quant_method",
    ),
    "a quantization that is a list": (
        lambda p: extracting(p, "--quantization", "[8]"),
        r"quantization '\[8\]': give 8bit, 4bit, or JSON",
    ),
    "a quantization of no method": (
        lambda p: extracting(p, "--quantization", '{"bits": 4}'),
        r"quantization '\{\"bits\": 4\}': ",
    ),
    "no such attention": (
        lambda p: extracting(p, "--attn", "nonsense"),
        r'it cannot be loaded as asked for \(Specified `attn_implementation="nonsense"` is not supported',
    ),
    "pickled weights": (
        lambda p: extracting(p, model=without_safetensors(p)),
        r"pickle files can run code and are not read: save the model again .* or give --allow-pickle if you trust them",
    ),
    "classes that come along": (
        lambda p: extracting(p, model=with_classes(p)),
        "its classes are code that comes with the checkpoint, which is not run: .* give --trust-remote-code",
    ),
    "a revision of a folder": (
        lambda p: extracting(p, "--revision", "main"),
        "--revision names a commit of a hub model, and this is a folder: leave it out",
    ),
    "a file in the way": (
        lambda p: extracting(p, "--out", p / "rows.jsonl"),
        r"rows\.jsonl: exists and is not an activation store: give another --out",
    ),
    "a file where a folder should be": (
        lambda p: extracting(p, "--out", p / "rows.jsonl" / "a" / "b"),
        r"cannot write .*/a/b: .*rows\.jsonl is not a folder that can be written in",
    ),
    "somebody else's folder": (
        lambda p: extracting(p, "--out", p / "model"),
        "model: exists and is not an activation store: give another --out",
    ),
    "a template that is none": (
        lambda p: extracting(p, "--chat-template", "own"),
        "its tokenizer has no chat template: give --chat-template FILE",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_an_extraction_that_cannot_be_ends_in_one_line_and_leaves_nothing(
    case: str, place: Path, fails: Failing
) -> None:
    command, message = BAD[case]
    arguments = command(place)
    before = listing(place)
    assert re.search(message, fails(*arguments))
    assert listing(place) == before


def test_the_control_the_same_command_with_nothing_wrong_succeeds(place: Path, w2s: Call) -> None:
    w2s(*extracting(place))
    assert ActivationStore.open(place / "new").key == ActivationStore.open(place / "acts").key


@pytest.mark.skipif(bool(find_spec("bitsandbytes")), reason="bitsandbytes is here")
def test_a_quantization_whose_package_is_missing_is_named(place: Path, fails: Failing) -> None:
    assert "requires bitsandbytes: `pip install" in fails(*extracting(place, "--quantization", "8bit"))
    assert not (place / "new").exists()


def test_a_dtype_that_the_device_lacks_is_refused_before_the_weights_are_read(
    place: Path, fails: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = torch.nn.functional.layer_norm

    def lacking(x: torch.Tensor, *rest: Any) -> torch.Tensor:
        if x.dtype == torch.float16:
            raise RuntimeError("\"LayerNormKernelImpl\" not implemented for 'Half'\nstack")
        return real(x, *rest)

    monkeypatch.setattr(torch.nn.functional, "layer_norm", lacking)
    monkeypatch.setattr("extract.models.loading.auto_class", lambda config: None)  # which reads nothing
    message = fails(*extracting(place, "--dtype", "float16"))
    assert (
        "cpu cannot compute in float16 (\"LayerNormKernelImpl\" not implemented for 'Half'): choose another" in message
    )
    assert not (place / "new").exists()


def test_a_folder_that_cannot_be_written_in_is_refused_before_anything_is_computed(
    place: Path, fails: Failing, w2s: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a stand-in for the system's answer: the tests may run as root, who may write anywhere."""
    monkeypatch.setattr(os, "access", lambda _, mode: mode == os.R_OK)
    monkeypatch.setattr(extractor, "Engine", None)
    assert f"cannot write {place / 'new'}: {place} is not a folder that" in fails(*extracting(place))
    w2s(*extracting(place, "--out", place / "acts"))  # a finished store may well be where nobody can write


@pytest.mark.parametrize("out", ["new", "begun"])
def test_a_full_disk_is_one_line_and_what_was_whole_stays(place: Path, fails: Failing, w2s: Call, out: str) -> None:
    before = listing(place)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit then fails like a full disk
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
        message = fails(*extracting(place, "--out", place / out))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert f"cannot write {place / out / 'shard-0000'}" in message
    assert listing(place) == before
    w2s(*extracting(place, "--out", place / out))
    assert ActivationStore.open(place / out).verify().ok
