"""One model type: a tiny checkpoint of it, extracted in batches, alone, and read by plain hooks without the product."""

import copy
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedTokenizerFast

from extract.doctor import ROUNDED, diagnose
from extract.extractor import Extraction
from extract.forward.engine import Engine
from extract.forward.trace import hidden
from extract.models.loading import Placement
from extract.models.source import ModelSource
from tests.census.configs import FIRST_WORD, LAST_WORD, VOCABULARY, base_models, tiny_config
from w2s_probes.checkpoints.blocks import trunk_of
from w2s_probes.checkpoints.loading import BROKEN
from w2s_probes.errors import InputError
from w2s_probes.store.dtypes import to_float32

LENGTHS = (1, 40, 3, 17, 29, 8, 3)  # tokens of the rows; the last has the text of the third
BUDGET = 64  # tokens of a batch: makes batches of 40, of 29 and 17, and of 8, 3, 3 and 1 tokens
TOLERANCE = 1e-3  # as the doctor's for float32: of the median distance between two tokens' vectors
PERTURBATION = 0.05  # so that no weight is zero, such as a gate's, a bias, or the row of padding in a table
MOST_PARAMETERS = 30_000_000  # of a checkpoint that counts as small
FILES = re.compile(r" from '/[^']*'")  # stand in messages of missing classes, and differ by machine
OTHER = ", which are others"  # than those that its blocks hand on
Vectors = dict[int, NDArray[Any]]  # layer -> (tokens, width)


@dataclass(frozen=True)
class Result:
    """How a type fared: a heading of the page, and one line that says more."""

    heading: str  # one of HEADINGS
    line: str


READ, NAMED, DIFFERS, REFUSED, UNBUILT, FAILS = HEADINGS = (
    "read",
    "read with --blocks",
    "differs",
    "refused",
    "not built",
    "fails",
)


HALF_REFUSED = "bfloat16 is refused"


def reads_tokens(model_type: str) -> bool:
    """Whether a base model of this type takes `input_ids`; False where its classes cannot be imported here."""
    try:
        models = base_models(model_type)
        return any("input_ids" in inspect.signature(model.forward).parameters for model in models)
    except (ImportError, ValueError, KeyError):
        return False


def measure(model_type: str, folder: Path) -> Result:
    """Build a checkpoint of the type in `folder` and compare the ways to read it."""
    try:
        tokenizer = build(model_type, folder)
    except BROKEN as error:
        return Result(UNBUILT, f"{type(error).__name__}: {one_line(error)}")
    try:
        return compare(folder, tokenizer)
    except InputError as error:
        line = one_line(error).replace(str(folder), "MODEL").removeprefix("model MODEL: ")
    if "--blocks" in line:
        for path in re.findall(r"([\w.]+) \(\d+\)", line):
            try:
                result = compare(folder, tokenizer, path)
            except BROKEN:
                continue
            if result.heading == READ and OTHER not in result.line:
                return Result(NAMED, f"--blocks {path}; without it refused: {line}")
            line = f"{line}; with --blocks {path} {result.line}"
    return Result(REFUSED, line)


def build(model_type: str, folder: Path) -> PreTrainedTokenizerFast:
    """Save a tiny model of random weights, the same each time; a tokenizer that knows some words."""
    config = tiny_config(model_type)
    with torch.device("meta"):
        size = sum(parameter.numel() for parameter in AutoModel.from_config(copy.deepcopy(config)).parameters())
    if size > MOST_PARAMETERS:
        raise ValueError(f"{size:,} parameters at its smallest")
    torch.manual_seed(0)
    model = AutoModel.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter += PERTURBATION * torch.randn(parameter.shape)
    model.save_pretrained(folder)
    names = [f"w{i}" if FIRST_WORD <= i <= LAST_WORD else f"<{i}>" for i in range(VOCABULARY)]
    tokenizer = Tokenizer(WordLevel({name: i for i, name in enumerate(names)}, unk_token="<3>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    pad = getattr(config.get_text_config(), "pad_token_id", None)
    special = {"pad_token": names[pad]} if isinstance(pad, int) and 0 <= pad < VOCABULARY else {}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<3>", **special)


def example_rows() -> pd.DataFrame:
    """Random words of the lengths above."""
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in rng.integers(FIRST_WORD, LAST_WORD + 1, length)) for length in LENGTHS]
    texts[-1] = texts[2]
    return pd.DataFrame({"id": [f"row-{i}" for i in range(len(texts))], "text": texts})


def compare(folder: Path, tokenizer: PreTrainedTokenizerFast, blocks: str | None = None) -> Result:
    """Extract the rows in several companies; InputError where the product refuses."""
    source = ModelSource.find(str(folder), blocks=blocks)
    vars(source)["tokenizer"] = tokenizer  # some families make one of their own kind of any files
    plan = Extraction.plan(source, example_rows(), position="all", dtype="float32")
    names = plan.rows["id"].tolist()
    tokens = plan.encoding.encode(source.tokenizer, names, plan.rows["text"].tolist()).rows
    alone = _stored(plan, folder / "alone", plan.engine(Placement(device_map="cpu", batch_tokens=1)))
    engine = plan.engine(Placement(device_map="cpu", batch_tokens=BUDGET))
    ways = {"in batches": _stored(plan, folder / "batches", engine)}
    _read(
        engine, [tokens[2], tokens[0]], budget=10_000
    )  # short ones, after which some models stay as they are for them
    ways["in one batch after short rows"] = _read(engine, tokens, budget=10_000)
    faults = [fault(f"{way} its vectors differ", alone, found) for way, found in ways.items()]
    by_hooks, note = _without_the_product(source, tokens)
    faults.append(fault("alone its vectors differ from those of plain hooks", alone, by_hooks))
    faults.append(_of_another_token(engine, tokens, alone))
    found = [line for line in faults if line]
    if found:
        engine.budget = BUDGET
        plan.run(folder / "checked", engine=engine)  # refused by the product's own check, if it sees as much
    seen = diagnose(
        replace(plan, rows=plan.rows.iloc[:3]), placement=Placement(device_map="cpu"), against_float32=False
    )
    if not found and not seen.ok:
        found = [f"the doctor finds it wrong: {', '.join(check.name for check in seen.checks if not check.ok)}"]
    elif found and seen.ok:
        found.append("the doctor finds nothing")
    half = _of_half_precision(plan, tokens, alone)
    if half.startswith(HALF_REFUSED):  # in one line: that is no fault
        note += f"; {half.replace(str(folder), 'MODEL')}"
    elif half:
        found.append(half)
    where = f"{plan.source.depth} blocks at {source.block_path}"
    return Result(DIFFERS, "; ".join(found)) if found else Result(READ, f"{where}{note}")


def _stored(plan: Extraction, out: Path, engine: Engine) -> Vectors:
    store = plan.run(out, engine=engine, check=False)
    assert store is not None  # nobody else writes there
    return {layer: store.tokens(layer, ids=plan.rows["id"].tolist()).values for layer in plan.layers}


def _read(engine: Engine, tokens: Sequence[NDArray[np.int32]], budget: int) -> Vectors:
    engine.budget = budget
    return engine.read(tokens, [f"row-{i}" for i in range(len(tokens))])


def fault(what: str, ours: Vectors, other: Vectors, *, rounded: bool = False) -> str:
    """What is wrong with other vectors of the same tokens, nothing if all are close; if rounded, half of them."""
    worst, at = 0.0, 0
    for layer, vectors in ours.items():
        if vectors.shape != other[layer].shape:
            return f"{what}: shape {vectors.shape} at layer {layer}, not {other[layer].shape}"
        some = vectors[:: max(1, len(vectors) // 50)].astype(np.float64)
        apart = np.linalg.norm(some[:, None] - some[None], axis=2)[np.triu_indices(len(some), 1)]
        errors = np.linalg.norm(vectors.astype(np.float64) - other[layer], axis=1)
        share = (np.median(errors) if rounded else errors.max()) / (np.median(apart) or 1.0)
        if not share <= worst:  # which NaN is not either
            worst, at = float(share), layer
    return (
        ""
        if worst <= (ROUNDED if rounded else TOLERANCE)
        else f"{what} by {worst:.2g} of the distance between tokens (layer {at})"
    )


def _of_another_token(engine: Engine, tokens: Sequence[NDArray[np.int32]], alone: Vectors) -> str:
    """Whether the vector at the last token of the first longer row hangs on that token before any block."""
    length = len(tokens[1])
    other = tokens[1].copy()
    other[-1] = FIRST_WORD + (other[-1] - FIRST_WORD + 1) % (LAST_WORD - FIRST_WORD + 1)
    here, there = alone[0][LENGTHS[0] : LENGTHS[0] + length], _read(engine, [other], budget=1)[0]
    return "" if np.abs(here[-1] - there[-1]).max() > 1e-6 else "the vectors are those of other tokens"


def _of_half_precision(plan: Extraction, tokens: Sequence[NDArray[np.int32]], alone: Vectors) -> str:
    """Whether bfloat16 gives the same vectors but for rounding, which may send a few tokens to other experts."""
    try:
        words = (
            replace(plan, dtype="bfloat16").engine(Placement(device_map="cpu")).read(tokens, plan.rows["id"].tolist())
        )
    except InputError as error:
        return f"{HALF_REFUSED}: {one_line(error)}"
    except BROKEN as error:
        return f"in bfloat16 {type(error).__name__}: {one_line(error)}"
    return fault(
        "in bfloat16 its vectors differ", alone, {i: to_float32(w, "bfloat16") for i, w in words.items()}, rounded=True
    )


def _without_the_product(source: ModelSource, tokens: Sequence[NDArray[np.int32]]) -> tuple[Vectors, str]:
    """Every row by itself through a fresh copy of the model, without mask: the last that each block hands on.

    And in words how the states that the model itself reports stand to these.
    """
    trunk = trunk_of(AutoModel.from_pretrained(source.folder, dtype=torch.float32).eval())
    rows = [_alone_by_hooks(copy.deepcopy(trunk), source.block_path, row.tolist()) for row in tokens]
    by_hooks = {layer: np.concatenate([row[layer] for row, _ in rows]) for layer in rows[0][0]}
    reported = [states for _, states in rows]
    count = min(map(len, reported))
    if not count:
        return by_hooks, "; it reports no hidden states"
    inner = {layer: by_hooks[layer] for layer in range(min(len(by_hooks), count) - 1)}  # the last may be after a norm
    same = fault("", inner, {layer: np.concatenate([states[layer] for states in reported]) for layer in inner})
    if count == len(by_hooks) and not same:
        return by_hooks, ""
    return by_hooks, f"; it reports {count} hidden states{OTHER if same else ''}"


def _alone_by_hooks(trunk: nn.Module, path: str, row: list[int]) -> tuple[Vectors, list[NDArray[Any]]]:
    if (config := getattr(trunk, "config", None)) is not None:
        config.use_cache = False
    blocks: Any = trunk.get_submodule(path)
    seen: dict[int, Tensor] = {}

    def going_in(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen.setdefault(0, args[0] if args else kwargs["hidden_states"])

    blocks[0].register_forward_pre_hook(going_in, with_kwargs=True)
    for layer, block in enumerate(blocks, start=1):
        block.register_forward_hook(lambda _m, _a, out, layer=layer: seen.update({layer: hidden(out)}))
    with torch.inference_mode():
        try:
            output = trunk(input_ids=torch.tensor([row]), output_hidden_states=True)
        except (TypeError, ValueError):  # of a model that does not know the word
            output = trunk(input_ids=torch.tensor([row]))
    reported = [states for states in getattr(output, "hidden_states", None) or () if isinstance(states, Tensor)]
    return (
        {layer: states[0, : len(row)].numpy() for layer, states in sorted(seen.items())},
        [states[0, : len(row)].numpy() for states in reported],
    )


def one_line(error: Exception) -> str:
    """An error's message, not too long for a table."""
    return " ".join(FILES.sub("", str(error)).split())[:240]
