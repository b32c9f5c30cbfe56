"""Tiny models from configs with a seed, a tokenizer made here, synthetic activations: no network, no GPU."""

import gc
import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports the hub's client
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin while they wait slow a busy machine down

from collections.abc import Callable, Generator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from numpy.typing import NDArray

gc.disable()  # until everything is imported and collected, see `pytest_collection`
settings.register_profile("repository", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("repository")
if find_spec("torch"):  # the tests of what needs no model run without it, too (`make test-python`)
    import torch
    from transformers.utils import logging

    torch.set_num_threads(1)  # tiny models: a second thread only waits
    logging.disable_progress_bar()

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"
WORDS = [f"w{i}" for i in range(40)]


# The files that take over five seconds, as `pytest --durations=0` says; `make check` leaves them to `make test`.
SLOW = frozenset((ROOT / "tests" / "slow.txt").read_text().split())
# Others of several seconds, which `make check` has no time for, and other releases of libraries are tried with.
UNHURRIED = frozenset((ROOT / "tests" / "unhurried.txt").read_text().split())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave the million objects of libraries and tests out of every later search for garbage, a second each.

    Trainers search after each training, and Python does while it imports.
    """
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow files, and refuse names that hold an address.

    Of such names each process of xdist would collect others.
    """
    for item in items:
        assert " at 0x" not in item.nodeid, f"{item.nodeid}: give this parameter an id"
        if item.path.relative_to(ROOT).as_posix() in SLOW or "demo" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
        if item.path.relative_to(ROOT).as_posix() in UNHURRIED:
            item.add_marker(pytest.mark.unhurried)


@dataclass(frozen=True)
class Planted:
    """Two classes of activations along a direction, with some labels flipped."""

    X: NDArray[np.float32]
    truth: NDArray[np.float64]
    weak: NDArray[np.float64]


def planted(n: int = 300, d: int = 12, noise: float = 0.2, apart: float = 4.0, seed: int = 0) -> Planted:
    """n rows in two Gaussian clusters, an exact share of the weak labels wrong."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 2
    X = rng.normal(size=(n, d)).astype(np.float32)
    X[:, 0] += apart * truth
    weak = truth.astype(np.float64)
    wrong = rng.permutation(n)[: round(n * noise)]
    weak[wrong] = 1 - weak[wrong]
    return Planted(X, truth.astype(np.float64), weak)


def model_of(family: str) -> Any:
    """A tiny random model; the seed makes it the same each time."""
    import torch
    from transformers import (
        BertConfig,
        BertModel,
        GPT2Config,
        GPT2LMHeadModel,
        GPTNeoXConfig,
        GPTNeoXModel,
        LlamaConfig,
        LlamaForCausalLM,
    )

    torch.manual_seed(0)
    size: dict[str, Any] = {"vocab_size": 44, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
    if family == "llama":
        return LlamaForCausalLM(LlamaConfig(**size, intermediate_size=48, max_position_embeddings=64))
    if family == "gpt_neox":
        return GPTNeoXModel(GPTNeoXConfig(**size, intermediate_size=48, max_position_embeddings=64))
    if family == "bert":
        return BertModel(BertConfig(**size, intermediate_size=48, max_position_embeddings=64))
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=44, n_embd=32, n_layer=3, n_head=4, n_positions=64, bos_token_id=2, eos_token_id=3)
    )


FAMILIES = ("llama", "gpt_neox", "bert", "gpt2")


def save_checkpoint(model: Any, folder: Path, window: int = 64) -> Path:
    """The model in the usual format, with a tokenizer of 40 words that reads `window` tokens at most."""
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    model.save_pretrained(folder)
    vocabulary = {w: i for i, w in enumerate(["<pad>", "<unk>", "<s>", "</s>", *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", model_max_length=window
    )
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function from a family's name to the folder of a tiny checkpoint in the usual format."""
    import torch

    made: dict[tuple[str, str], Path] = {}

    def make(family: str = "llama", dtype: str = "float32") -> Path:
        if (family, dtype) not in made:
            folder = tmp_path_factory.mktemp(f"{family}-{dtype}")
            made[family, dtype] = save_checkpoint(model_of(family).to(getattr(torch, dtype)), folder)
        return made[family, dtype]

    return make


def shard_file(store: Path, part: int = 0) -> Path:
    """The file of a store's part."""
    (file,) = store.glob(f"shard-{part:05d}-*.h5")
    return file


@pytest.fixture
def rows() -> pd.DataFrame:
    """Forty texts of very different lengths."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(1, 30))) + f" w{i}" for i in range(40)]
    return pd.DataFrame({"id": [f"row-{i}" for i in range(40)], "text": texts})


@pytest.fixture
def fails() -> Callable[..., str]:
    """Run `w2s` in this process; assert exit code 2 and one line without a traceback; return the line."""
    return run_failing


def run_failing(*arguments: object) -> str:
    import contextlib
    import io

    from w2s_probes.cli import main

    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr), pytest.raises(SystemExit) as exit_info:
        main([str(a) for a in arguments])
    message = stderr.getvalue()
    assert exit_info.value.code == 2, message
    assert message.startswith("w2s: "), message
    assert message.count("\n") == 1, message
    return message


@pytest.fixture
def w2s() -> Callable[..., None]:
    """Run `w2s` in this process and expect success."""
    from w2s_probes.cli import main

    def call(*arguments: object) -> None:
        with pytest.raises(SystemExit) as exit_info:
            main([str(a) for a in arguments])
        assert exit_info.value.code == 0

    return call


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished `w2s demo`; half a minute, once, however many processes share the tests."""
    from filelock import FileLock

    from analyses.protocol import run
    from analyses.recipe.read import RECIPES, read_recipe

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "demo"
    finished = folder.with_name("demo.finished")
    with FileLock(folder.with_name("demo.lock")):
        if not finished.exists():
            run(read_recipe(RECIPES / "demo.toml"), folder)
            finished.touch()
    return folder
