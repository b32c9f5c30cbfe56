"""Files of arrays that lie: headers of impossible shapes, tensors that are no plain numbers, HDF5 of other makers."""

import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from tests.hardening.mutations import LONG, Random, mutated_bytes, mutated_json

NUMBERS = np.arange(60 * 4, dtype=np.float32).reshape(60, 4)
SHAPES = [
    *(
        "()",
        "(60, 0)",
        "(0, 4)",
        "(60, 4611686018427387904)",
        "(-1, 4)",
        "(60, -4)",
        "(2**70, 4)",
        "(1" * 40,
        "[60, 4]",
    ),
    *("(60, 1e3)", "(99999999999999999999, 4)", "(True, 4)", "(60, 4, 1)", "(60,) * 70", "None", "'a'", "(60, 4)"),
    f"({'9' * 5000}, 4)",
]
KINDS = [
    "<f4",
    "<f8",
    ">f4",
    "<f2",
    "|O",
    "<f16",
    "<c8",
    "|V2",
    "<U1000",
    "|S0",
    "<M8[ns]",
    "|b1",
    "<i8",
    "f4,f4",
    "?",
    "",
]
DTYPES = ["F32", "BF16", "F16", "F64", "I64", "BOOL", "F8_E4M3", "F99", "", "C64"]


def hostile_npy(rng: Random, _: bytes = b"") -> bytes:
    """A .npy file whose header may be wide, of another version, or no literal."""
    shape, kind = SHAPES[rng.integers(len(SHAPES))], KINDS[rng.integers(len(KINDS))]
    shape = shape if rng.random() < 0.6 else "(60, 4)"
    kind = kind if rng.random() < 0.5 else "<f4"
    fortran = str(rng.choice(["False", "True", "0", "None"]))
    headers = [
        f"{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}",
        "{'descr': " + "(" * 300 + ")" * 300 + ", 'fortran_order': False, 'shape': (60, 4)}",
        "{'descr': '<f4', 'fortran_order': False}",
        "[" * 5000,
        "{'descr': [('a', '<f4', (10000000000,))], 'fortran_order': False, 'shape': (60, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (60, 4), 'x': " + "1" * 9000 + "}",
        "\0" * 80,
        "{'descr': '<f4', 'fortran_order': False, 'shape': (60, 4)}\ud800".encode(errors="replace").decode(),
        "{'descr': '<f4\\n', 'fortran_order': False, 'shape': (60, 4)}",
    ]
    header = (headers[0] if rng.random() < 0.7 else headers[rng.integers(len(headers))]) + " " * 10 + "\n"
    version = int(rng.choice([1, 1, 1, 2, 3, 9, 0, 255]))
    length = len(header) if rng.random() < 0.9 else int(rng.integers(2**16))
    packed = struct.pack("<H" if version == 1 else "<I", length)
    body = NUMBERS.tobytes() if rng.random() < 0.8 else rng.bytes(int(rng.integers(2000)))
    return b"\x93NUMPY" + bytes([version, 0]) + packed + header.encode("latin-1", errors="replace") + body


def hostile_npz(rng: Random, _: bytes = b"") -> bytes:
    """A zip of such files: stored or packed, doubled names, bombs, or changed bytes."""
    sink = io.BytesIO()
    packed = zipfile.ZIP_DEFLATED if rng.random() < 0.5 else zipfile.ZIP_STORED
    with zipfile.ZipFile(sink, "w", packed) as archive:
        for name in rng.choice(
            ["layer_0.npy", "layer_1.npy", "readme.txt", "a/../b.npy", "\x1b[31m.npy", "$a_$.npy"], 2
        ):
            if name not in archive.namelist():
                archive.writestr(str(name), hostile_npy(rng))
        if rng.random() < 0.2:
            archive.writestr("layer_9.npy", hostile_npy(rng)[:10] + b"\0" * 20_000_000, zipfile.ZIP_DEFLATED)
    return sink.getvalue() if rng.random() < 0.7 else mutated_bytes(rng, sink.getvalue())


def hostile_safetensors(rng: Random, _: bytes = b"") -> bytes:
    """A safetensors file whose header is hostile JSON, or says what its bytes do not hold."""
    shapes: list[Any] = [
        [60, 4],
        [60, 0],
        [0],
        [],
        [2**32, 2**32],
        [60, 4, 1],
        [2**63, 0],
        [-1],
        ["a"],
        [60.0, 4],
        None,
    ]
    entry = {
        "dtype": DTYPES[rng.integers(len(DTYPES))] if rng.random() < 0.5 else "F32",
        "shape": shapes[rng.integers(len(shapes))] if rng.random() < 0.7 else [60, 4],
        "data_offsets": [0, [NUMBERS.nbytes, 0, 2**63, -1][int(rng.choice([0, 0, 1, 2, 3]))]],
    }
    name = str(rng.choice(["layer_0", "", "\x1b[31m0", "$a_$0", "0", "1" * 400, LONG]))
    header = json.dumps({name: entry, "__metadata__": {"a": "b"}}).encode()
    if rng.random() < 0.4:
        header = mutated_json(rng, header)
    length = len(header) if rng.random() < 0.9 else int(rng.choice([0, 2**63, 2**40, 7]))
    whole = struct.pack("<Q", length) + header + NUMBERS.tobytes()
    return whole if rng.random() < 0.8 else mutated_bytes(rng, whole)


def hostile_torch(rng: Random, _: bytes = b"") -> bytes:
    """What `torch.save` writes of tensors that are expanded, nested, negated, complex, sparse, or of no numbers."""
    plain = torch.from_numpy(NUMBERS.copy())
    complex_ = torch.complex(plain, plain)
    made: list[Callable[[], Any]] = [
        lambda: torch.zeros(1, 1).expand(60, 2**40),
        lambda: torch.zeros(60, 1).expand(60, 4),
        lambda: torch.zeros(2**31, 0),
        lambda: torch.nested.nested_tensor([plain[0], plain[1, :2]]),
        lambda: torch.nested.nested_tensor([plain, plain], layout=torch.jagged),
        lambda: complex_.conj().imag,
        lambda: torch._neg_view(plain),
        lambda: torch._neg_view(plain.to(torch.bfloat16)),
        lambda: complex_,
        lambda: complex_.conj(),
        lambda: plain.to_sparse(),
        lambda: torch.quantize_per_tensor(plain, 1.0, 0, torch.qint8),
        lambda: plain.to("meta"),
        lambda: plain.bool(),
        lambda: plain.T,
        lambda: plain.flip(0)[::2],
        lambda: {0: plain, "0": plain},
        lambda: {"layer_0": plain, "layer_1": "text"},
        lambda: {None: plain, (1, 2): plain},
        lambda: {f"layer_{'9' * 5000}": plain},
        lambda: {"a\x1b[31m1": plain, "b$_$2": plain},
        lambda: [plain, None],
        lambda: [[plain]],
        lambda: {},
        lambda: None,
        lambda: torch.nn.Parameter(plain),
        lambda: plain.to(torch.float8_e4m3fn),
        lambda: torch.full((60, 4), float("nan")),
        lambda: plain.double() * 1e300,
        lambda: torch.zeros(()),
        lambda: plain[:0],
        lambda: {"x": {"layer_1": plain}},
        lambda: torch.sparse_csr_tensor([0, 1, 2], [0, 1], torch.ones(2)),
        lambda: plain.as_strided((60, 4), (0, 0)),
    ]
    sink = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that such tensors are a prototype
        archive = bool(rng.random() < 0.8)
        torch.save(made[int(rng.integers(len(made)))](), sink, _use_new_zipfile_serialization=archive)
    return sink.getvalue() if rng.random() < 0.75 else mutated_bytes(rng, sink.getvalue())


def make_shard_hostile(rng: Random, shard: Path) -> None:
    """Change a sound shard's ids, layers or attributes as another program might, or its bytes."""
    if rng.random() < 0.3:
        shard.write_bytes(mutated_bytes(rng, shard.read_bytes()))
        return
    ids = np.array([f"row-{i}".encode() for i in range(60)])
    new_ids: list[Callable[[h5py.File], Any]] = [
        lambda f: f.create_dataset("ids", data=np.array([b"x" * 60_000] * 60)),
        lambda f: f.create_dataset("ids", (2**40,), "S8"),
        lambda f: f.create_dataset("ids", (60,), "S2000000000"),
        lambda f: f.create_dataset("ids", data=ids, chunks=(7,), compression="gzip"),
        lambda f: f.create_dataset("ids", (2**36,), "S8", chunks=(2**20,), compression="gzip"),
        lambda f: f.create_dataset("ids", data=[str(i) for i in range(60)], dtype=h5py.string_dtype()),
        lambda f: f.create_dataset("ids", data=np.arange(60)),
        lambda f: f.create_dataset("ids", data=[b"\xff\xfe"] * 60),
        lambda f: f.create_dataset("ids", data=b"one"),
        lambda f: f.create_dataset("ids", shape=None, dtype="S8"),
        lambda f: f.create_group("ids"),
    ]
    changes: list[Callable[[h5py.File], Any]] = [
        lambda f: f.create_group(LONG[:60_000]),
        lambda f: f.create_dataset("layer_" + "9" * 5000, data=[1.0]),
        lambda f: f.create_dataset("layer_999", (2**50,), "f4"),
        lambda f: f.attrs.__setitem__("key", np.arange(3)),
        lambda f: f.attrs.__setitem__("key", LONG[:60_000]),
        lambda f: f.attrs.__setitem__("key", np.bytes_(b"\xff")),
        lambda f: f.attrs.__setitem__("cut", "many"),
        lambda f: f.attrs.__setitem__("cut", 2.0**70),
        lambda f: f.attrs.__setitem__("cut", np.nan),
        lambda f: f.attrs.__setitem__("cut", -5),
        lambda f: f.attrs.__setitem__("dtype", np.float64(1)),
        lambda f: f.attrs.__delitem__("key"),
        lambda f: f.__setitem__("loop", f["/"]),
        lambda f: f.__setitem__("gone", h5py.SoftLink("/gone")),
        lambda f: f.__setitem__("outside", h5py.ExternalLink("/etc/passwd", "/")),
    ]
    with h5py.File(shard, "a") as file:
        if rng.random() < 0.5:
            del file["ids"]
            new_ids[int(rng.integers(len(new_ids)))](file)
        elif rng.random() < 0.7:
            changes[int(rng.integers(len(changes)))](file)
        else:
            del file["layer_001"]
            made: list[Callable[[], Any]] = [
                lambda: file.create_dataset("layer_001", (60, 2**40), "f4"),
                lambda: file.create_dataset("layer_001", (60, 4), "f4"),  # never filled: HDF5 gives it no bytes
                lambda: file.create_dataset("layer_001", (60, 4), "f4", chunks=(7, 4), compression="gzip"),
                lambda: file.create_dataset("layer_001", (60, 4), "f8"),
                lambda: file.create_dataset("layer_001", data=np.full((60, 4), np.nan, np.float32)),
                lambda: file.create_virtual_dataset("layer_001", h5py.VirtualLayout((60, 4), "f4")),
                lambda: file.create_dataset("layer_001", shape=None, dtype="f4"),
            ]
            made[int(rng.integers(len(made)))]()
