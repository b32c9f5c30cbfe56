"""Which files of a checkpoint's folder decide its numbers: all but those that are known not to."""

from collections.abc import Iterator
from pathlib import Path

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
