"""The folder of a model's files: a local one, a hub snapshot, or a folder inside an installed package."""

import hashlib
import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_probes.checkpoints.files import (
    CONFIG,
    WEIGHTS,
    deciding_files,
    has_weights,
    refuse_no_checkpoint,
    refuse_own_code,
)
from w2s_probes.errors import InputError
from w2s_probes.io.files import is_address, refused_address, sha256

PICKLES = "pytorch_model*.bin"
PACKAGE = "package:"
ADAPTER = "adapter_config.json"
POOLING = "1_Pooling/config.json"  # of a sentence-transformers checkpoint, which has MODULES as well
MODULES = "modules.json"
DESCRIPTION = ["*.json", "*.model", "*.txt", "*.jinja"]  # config and tokenizer, in all their usual forms
CODE = "*.py"


@dataclass(frozen=True)
class Trust:
    """The user's permissions for a checkpoint; both let it run any code that its author wrote."""

    pickle: bool = False  # weights in pickle files
    remote_code: bool = False  # model classes that come with the checkpoint


def find_folder(name: str, revision: str | None, trust: Trust, *, weights: bool = True) -> tuple[Path, str]:
    """The folder of a model's files and an identity for them: hub id and commit, or a hash of the files.

    `name` is a folder, `package:NAME/FOLDER` for a folder in an installed package (found without importing it),
    or a hub id, which is downloaded once. Without `weights` only config and tokenizer are looked for, and the
    identity is empty. InputError if nothing usable is there.
    """
    if is_hub_id(name):
        folder = _from_hub(name, revision, trust, weights)
        return folder, f"hub:{name}@{folder.name}" if weights else ""
    folder = _local_folder(name, revision)
    _check_code(name, folder, trust)
    if not weights:
        return folder, ""
    _check_weights(name, folder, trust)
    return folder, _hash_files(folder, trust)


def refuse_no_model(
    name: str, revision: str | None = None, trust: Trust | None = None, *, weights: bool = True
) -> None:
    """InputError where `find_folder` would find no files; of a folder it is said without transformers."""
    if is_hub_id(name):
        _from_hub(name, revision, trust or Trust(), weights=False)
        return
    folder = _local_folder(name, revision)
    if weights:
        _check_weights(name, folder, trust or Trust())


def _local_folder(name: str, revision: str | None) -> Path:
    """A folder, or one in an installed package, with a checkpoint's config; InputError where there is none."""
    folder = _in_package(name) if name.startswith(PACKAGE) else Path(name).expanduser()
    if is_address(name) and not folder.exists():
        raise refused_address(name)
    if revision is not None:
        raise InputError(f"model {name}: --revision names a commit of a hub model, and this is a folder: leave it out")
    refuse_no_checkpoint(name, folder, "give a transformers checkpoint or a hub id")
    return folder


def is_hub_id(name: str) -> bool:
    """Whether a name stands for a model of the hub: no file or folder here has it, nor could have."""
    local = Path(name).expanduser().exists() or name.startswith((PACKAGE, ".", "/", "~"))
    return not local and name.count("/") <= 1


def _in_package(name: str) -> Path:
    package, _, folder = name.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"model {name}: no package {package!r} is installed; install it with pip")
    return Path(spec.submodule_search_locations[0]) / folder


def _check_weights(name: str, folder: Path, trust: Trust) -> None:
    if has_weights(folder) or (trust.pickle and list(folder.glob(PICKLES))):
        return
    raise InputError(
        f"model {name}: the folder has no weights ({WEIGHTS}); pickle files can run code and are not read: save the "
        "model again with model.save_pretrained(folder), or give --allow-pickle if you trust them"
    )


def _check_code(name: str, folder: Path, trust: Trust) -> None:
    if not trust.remote_code:
        refuse_own_code(name, folder, "read it, and give --trust-remote-code if you trust it")


def _from_hub(name: str, revision: str | None, trust: Trust, weights: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RevisionNotFoundError,
    )

    wanted = [*DESCRIPTION, *([WEIGHTS] if weights else []), *([CODE] if trust.remote_code else [])]
    # Sub-folders and `consolidated` files hold the same weights again in other formats.
    spare = ["*/*", "consolidated*"]
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=wanted, ignore_patterns=spare))
        if more := [file for file in vocabulary_files(folder) if not (folder / file).is_file()]:
            wanted += more
            folder = Path(snapshot_download(name, revision=folder.name, allow_patterns=wanted, ignore_patterns=spare))
        if weights and trust.pickle and not has_weights(folder):
            folder = Path(snapshot_download(name, revision=folder.name, allow_patterns=[*wanted, PICKLES]))
        if (folder / MODULES).is_file() and not (folder / POOLING).is_file():
            folder = Path(snapshot_download(name, revision=folder.name, allow_patterns=[POOLING]))
    except GatedRepoError as error:
        raise InputError(
            f"model {name}: gated: accept its conditions on its hub page, then `hf auth login` with that account"
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(f"model {name}: has no revision {revision!r}: give a branch, tag or commit of it") from error
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(
            f"model {name}: neither a folder here nor a model that the hub gives out ({type(error).__name__}): check "
            "the name, the network, and for private models `hf auth login`"
        ) from error
    if not (folder / CONFIG).is_file():
        raise InputError(f"model {name}: the hub's repository has no config.json: not a transformers checkpoint")
    _check_code(name, folder, trust)
    if weights:
        _check_weights(name, folder, trust)
    return folder


def tensors_header(file: Path) -> Any:
    """The header of a safetensors file: its tensors by name; of a damaged one the errors of reading and parsing."""
    with file.open("rb") as stream:
        return json.loads(stream.read(int.from_bytes(stream.read(8), "little")))


def stored_depth(folder: Path, block_path: str) -> int:
    """The number of blocks in the weights' names; 0 where their headers cannot be read, as with pickle files."""
    number, most = re.compile(rf"(?:^|\.){re.escape(block_path)}\.(\d+)\."), 0
    for file in folder.glob(WEIGHTS):
        try:
            names = tensors_header(file)
        except (OSError, ValueError, MemoryError, OverflowError, RecursionError):
            continue  # said better where the weights are loaded
        most = max([most, *(int(match[1]) + 1 for name in names if (match := number.search(name)))])
    return most


def vocabulary_files(folder: Path) -> list[str]:
    """The files that the tokenizer's class reads by names of its own, such as `bpe.codes`; [] where it is unknown."""
    import transformers

    try:
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        named = settings.get("tokenizer_class") or ""
        classes = [getattr(transformers, name, None) for name in (named, named.removesuffix("Fast"))]
    except (OSError, ValueError, RecursionError, AttributeError, TypeError, ImportError):
        return []
    files = [file for tokenizer in classes for file in (getattr(tokenizer, "vocab_files_names", None) or {}).values()]
    return sorted({file for file in files if isinstance(file, str)})


def _hash_files(folder: Path, trust: Trust) -> str:
    """A hash of the files that determine a local checkpoint's numbers: config, tokenizer and weights, not its path."""
    pickled = trust.pickle and not has_weights(folder)
    files = deciding_files(folder, pickles=pickled, code=trust.remote_code)
    lines = [f"{p.relative_to(folder).as_posix()} {sha256(p)}" for p in files]
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()
