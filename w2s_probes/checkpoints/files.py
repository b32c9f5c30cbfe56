"""The files of a checkpoint's folder: which decide its numbers, and what is refused before anything is loaded."""

from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError
from ..io.json_files import read_json

CONFIG = "config.json"
WEIGHTS = "*.safetensors"

# Read by people, by other frameworks, or to go on with a training. A tokenizer may read a file of any other name.
PROSE = {".md", ".rst", ".pdf", ".html", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".ipynb", ".log"}
FOREIGN = {".h5", ".msgpack", ".onnx", ".ot", ".gguf", ".tflite", ".mlmodel", ".ckpt", ".pt", ".pth", ".zip", ".tar"}
NAMES = {"readme", "license", "licence", "notice", "copying", "citation", ".gitattributes", ".gitignore", "use_policy"}
TRAINING = {"trainer_state.json", "training_args.bin", "optimizer.bin", "scheduler.bin", "all_results.json"}
FOLDERS = ("additional_chat_templates",)  # of those below, the ones that tokenizers read


def deciding_files(folder: Path, *, pickles: bool = False, code: bool = False) -> Iterator[Path]:
    """The files, in order of their paths: config, tokenizer, weights, templates, and whatever else is not known.

    `pickles` and `code`: whether weights in pickle files, and Python files, are read.
    """
    places = [folder, *(below for name in FOLDERS if (below := folder / name).is_dir())]
    for file in sorted(file for place in places for file in place.iterdir()):
        name, ending = file.name.lower(), file.suffix.lower()
        known = ending in PROSE | FOREIGN or name.partition(".")[0] in NAMES or name in NAMES | TRAINING
        unread = (ending == ".bin" and not pickles) or (ending == ".py" and not code)
        if file.is_file() and not known and not unread and not name.startswith("events.out"):
            yield file


def refuse_no_checkpoint(name: str, folder: Path, remedy: str) -> None:
    """InputError, with the remedy, where the folder holds no config of a transformers checkpoint."""
    if not (folder / CONFIG).is_file():
        fault = f"no {CONFIG} there" if folder.is_dir() else "no such folder"
        raise InputError(f"model {name}: {fault}; {remedy}")


def has_weights(folder: Path) -> bool:
    """Whether there are weights in safetensors files."""
    return any(folder.glob(WEIGHTS))


def refuse_own_code(name: str, folder: Path, remedy: str) -> None:
    """InputError, with the remedy, for a checkpoint whose model is code of its own that transformers does not have."""
    try:
        config = read_json(folder / CONFIG)
    except InputError:
        return  # said better where the config is used
    if not isinstance(config, dict) or "auto_map" not in config:
        return
    from transformers import CONFIG_MAPPING

    if config.get("model_type") not in CONFIG_MAPPING:
        raise InputError(
            f"model {name}: its classes are code that comes with the checkpoint, which is not run: {remedy}"
        )
