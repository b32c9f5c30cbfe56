"""`import_prompt_folder`: a folder of one safetensors file a prompt, as serving engines and caches write it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, did_you_mean
from ..io.files import last_part, sha256
from ..io.tables import read_table
from ..rows.ids import refuse_doubled, with_ids
from ..store.activation_store import ActivationStore
from ..store.dtypes import WORDS, StoredDtype
from ..store.layers import LayerSpec
from .by_layer import Layers, chosen_layers, refuse_depth
from .last_entry import LastEntry, identity_of, refuse_last_entry, settled
from .layouts import ALL, LAYOUTS, Layout, PromptVectors
from .lmprobe_dataset import import_lmprobe_dataset, is_lmprobe_dataset
from .saved import words
from .token_check import Tokenize, refuse_other_tokens
from .token_store import RowTokens, write_token_store
from .written import hash_of, row_ids, write_store

POSITIONS = ("last", "first", "mean", ALL)


@dataclass(frozen=True)
class _Files:
    """The vectors of all files, read as rows are asked for: only a slice of rows is ever in memory."""

    paths: Sequence[Path]
    read: Callable[[Path], PromptVectors]
    dtype: StoredDtype
    latest: dict[tuple[int, int], dict[int, NDArray[Any]]] = field(default_factory=dict)  # of one slice

    def of(self, layer: int, rows: slice) -> NDArray[Any]:
        """Words (rows, width) of a layer; the other layers of these files are kept for the next call."""
        start, stop, _ = rows.indices(len(self.paths))
        if (start, stop) not in self.latest:
            self.latest.clear()
            pieces: dict[int, list[NDArray[Any]]] = {}
            for path in self.paths[start:stop]:
                for number, vector in self.read(path).words.items():
                    pieces.setdefault(number, []).append(np.array(vector))
            joined = np.stack if next(iter(pieces.values()))[0].ndim == 1 else np.concatenate
            self.latest[start, stop] = {number: joined(vectors) for number, vectors in pieces.items()}
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, which is refused
            return self.latest[start, stop][layer].astype(WORDS[self.dtype], copy=False)


@dataclass(frozen=True)
class _Column:
    """One layer of all files, as an array of which rows are read, or the tokens of whole rows."""

    files: _Files
    layer: int
    width: int
    ends: NDArray[np.int64] | None = None  # (rows + 1,) of the rows' tokens, where every one is read

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, or tokens, and width."""
        return len(self), self.width

    def __len__(self) -> int:
        return len(self.files.paths) if self.ends is None else int(self.ends[-1])

    def __getitem__(self, chosen: slice) -> NDArray[Any]:
        """Words (rows, width), or (tokens, width)."""
        if self.ends is None:
            return self.files.of(self.layer, chosen)
        first, last = np.searchsorted(self.ends, [chosen.start, chosen.stop])
        return self.files.of(self.layer, slice(int(first), int(last)))


def import_prompt_folder(
    folder: Path | str,
    rows: Path | str,
    out: Path | str,
    *,
    layers: LayerSpec | None = None,
    layout: str = "vllm",
    position: Literal["last", "first", "mean", "all"] = "last",
    depth: int | None = None,
    dtype: str | None = None,
    last_entry: LastEntry | None = None,
    model: str | None = None,
    tokenize: Tokenize | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> ActivationStore:
    """A store of the vectors at one position of each prompt's file, or of every token's, bit for bit.

    `layout` says whose files they are (`layouts.LAYOUTS`): `vllm`, whose files are called as the rows' ids, or
    `lmprobe`, whose files are called by a hash of the rows' texts, or a dataset that it has pushed to the hub, whose
    index has these texts. `layers` are, of vLLM, those that the engine was
    asked for, ascending (`eagle_aux_hidden_state_layer_ids`); of lmprobe those that are wanted, in our numbers, all
    unless given. `last_entry` must be said of a last layer of which the layout does not tell whether it is normed.
    With `tokenize`, the tokens of every text by its model, files with other tokens are refused by row. At position
    `all` the store holds every token, and which: where files do not tell them, `tokenize` must.

    Raises InputError, with nothing written, where a row has no file, where files are cut, differ in layers, width or
    format, have states of another number of tokens than they name, or hold a number that is not finite. Whether the
    numbers are the model's, `w2s doctor STORE --model MODEL` says.
    """
    if layout not in LAYOUTS:
        raise InputError(f"--layout {layout!r}: {did_you_mean(layout, LAYOUTS)}")
    if position not in POSITIONS:
        raise InputError(f"--position {position}: of a folder of prompts, say {', '.join(POSITIONS)}")
    refuse_depth(depth)
    refuse_last_entry(last_entry)
    form, named = LAYOUTS[layout], None if layers is None else chosen_layers(layers, depth)
    if form.last_entry is not None and last_entry is not None:
        raise InputError(f"--layout {layout}: its last layer is {form.last_entry} as it is: leave --last-entry away")
    if depth is not None and named and named[-1] > depth:
        raise InputError(
            f"{folder}: layer {named[-1]} is above the model's {depth} blocks: correct --layers or --depth"
        )
    folder, ids = Path(folder), row_ids(Path(rows))
    refuse_doubled(ids, str(rows))
    if not ids:
        raise InputError(f"{rows}: holds no row")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; it must hold one .safetensors file a row")
    table = with_ids(read_table(Path(rows)), str(rows))
    if layout == "lmprobe" and is_lmprobe_dataset(folder):
        if "text" not in table:
            raise InputError(f"{rows}: lmprobe's prompts are found by the rows' `text`, and there is none")
        texts = [str(text) for text in table["text"]]
        return import_lmprobe_dataset(
            folder,
            texts,
            ids,
            out,
            rows=Path(rows),
            layers=named,
            position=position,
            depth=depth,
            dtype=dtype,
            last_entry=last_entry,
            model=model,
            tokens=None if tokenize is None else tokenize(ids, texts),
            report=report,
        )
    files = form.files(folder, table, str(rows))
    tokens = None if tokenize is None else tokenize(ids, [str(text) for text in _texts(table, rows)])
    part, row_tokens = _alike(files, ids, form, position, named, dtype, tokens, str(folder))
    highest = max(part.words)
    if depth is not None and highest > depth:
        raise InputError(f"{folder}: layer {highest} is above the model's {depth} blocks: correct --depth")
    said = form.last_entry or last_entry
    if form.last_entry is None:
        part = settled(part, depth, last_entry, str(folder), lowest=min(part.words))
    identity: dict[str, Any] = {
        "imported": hash_of([_digest(path) for path in files]),
        "layout": layout,
        **identity_of(said),
        "model": model and last_part(model),
        "layers": sorted(part.words),
        "depth": depth,
        "position": position,
        "dtype": part.dtype,
        "rows": hash_of(ids),
    }
    notes: dict[str, Any] = {"imported_from": str(folder.resolve()), "layout": form.source}
    notes |= {"rows_from": [str(Path(rows).resolve())], "tokens_checked": tokenize is not None}
    about: dict[str, Any] = {"identity": identity, "depth": highest if depth is None else depth, "report": report}
    about["notes"] = notes | ({} if model is None else {"model": model})
    if row_tokens is not None:
        return write_token_store(out, part, row_tokens, folder, ids, **about)
    return write_store(out, [(part, folder, ids)], **about)


def _digest(path: Path) -> str:
    """The checksum of a row's file, or of the files of its folder."""
    if path.is_file():
        return sha256(path)
    return hash_of(
        [part for file in sorted(path.rglob("*.pt")) for part in (file.relative_to(path).as_posix(), sha256(file))]
    )


def _texts(table: Any, rows: Path | str) -> list[Any]:
    if "text" not in table:
        raise InputError(f"{rows}: no field 'text', which the tokenizer of --model needs: leave --model away")
    return list(table["text"])


def _alike(
    files: Sequence[Path],
    ids: Sequence[str],
    form: Layout,
    position: str,
    named: list[int] | None,
    dtype: str | None,
    tokens: Sequence[Any] | None,
    where: str,
) -> tuple[Layers, RowTokens | None]:
    """The layers that all files have, one like the other; InputError for the first that is not as the others are.

    At position `all` also which tokens the rows have.
    """
    first: tuple[list[int], int, StoredDtype] | None = None
    sites: Mapping[int, str] = {}
    told: list[PromptVectors] = []
    for row, path in enumerate(files):
        found = form.read(path, position, named)
        widths = {vector.shape[-1] for vector in found.words.values()}
        if len(widths) > 1:
            raise InputError(f"{path}: layers of widths {sorted(widths)}: one store has one")
        vector = next(iter(found.words.values()))
        about = sorted(found.words), vector.shape[-1], words(vector, found.dtype, str(path), dtype)[1]
        if first is None:
            first, sites = about, found.sites
        elif about != first:
            raise InputError(
                f"{path}: layers {about[0]}, width {about[1]} of {about[2]}, but {files[0].name} has layers "
                f"{first[0]}, width {first[1]} of {first[2]}: one store has one (--layers chooses those that all have)"
            )
        if tokens is not None:
            refuse_other_tokens(str(path), ids[row], tokens[row], found.tokens, found.count)
        if position == ALL:
            told.append(replace(found, words={}))
    assert first is not None  # there is a row
    reader = _Files(files, lambda path: form.read(path, position, named), first[2])
    row_tokens = None
    if position == ALL:
        counts, named_tokens = [one.count for one in told], [one.tokens for one in told]
        row_tokens = RowTokens.of(counts, named_tokens, tokens, ids, where)
    ends = None if row_tokens is None else row_tokens.ends
    columns: dict[int, Any] = {layer: _Column(reader, layer, first[1], ends) for layer in first[0]}
    return Layers(columns, dict(sites), first[2]), row_tokens
