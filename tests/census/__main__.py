"""`make census`: every model type of the installed transformers, into docs/families.md; some twenty minutes.

With names of types only these are tried and nothing is written.
"""

import multiprocessing
import sys
import tempfile
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from transformers import CONFIG_MAPPING
from transformers.utils import logging

from tests.census.measure import FAILS, UNBUILT, Result, measure, one_line, reads_tokens
from tests.census.page import write_page

SECONDS = 60  # for one type; most take two
UNLUCKY, RETRIES = "Invalid thread pool", 5  # torch, in one of some ten processes that were forked
WARM_UP = "llama"  # imports what every type needs, before the processes part


def main(names: list[str]) -> None:
    """Try the types of these names, or all and write the page."""
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        measure(WARM_UP, Path(folder))
    results: dict[str, Result] = {}
    for model_type in names or sorted(filter(reads_tokens, CONFIG_MAPPING)):
        result = apart(model_type)
        for _ in range(RETRIES):
            if UNLUCKY in result.line:
                result = apart(model_type)
        results[model_type] = result
        print(f"{model_type}: {result.heading}: {result.line}", flush=True)
    if not names:
        write_page(results)


def apart(model_type: str) -> Result:
    """Measure in a process of its own, so that neither a hang nor a crash stops the census."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=_measure_and_send, args=(model_type, Path(folder), sender))
        process.start()
        sender.close()
        try:
            result: Result = receiver.recv() if receiver.poll(SECONDS) else Result(UNBUILT, f"not done in {SECONDS} s")
        except EOFError:
            result = Result(FAILS, "the process ended")
        process.kill()
        process.join()
    return result


def _measure_and_send(model_type: str, folder: Path, sender: Connection) -> None:
    logging.set_verbosity_error()
    try:
        result = measure(model_type, folder)
    except Exception as error:  # noqa: BLE001  # whatever the product lets through is what the census looks for
        frames = traceback.extract_tb(error.__traceback__)
        product = next((f for f in reversed(frames) if "/extract/" in f.filename), frames[-1])
        at = f"{Path(product.filename).name}:{product.lineno}"
        result = Result(FAILS, f"{type(error).__name__} through {at}: {one_line(error)}")
    sender.send(result)


if __name__ == "__main__":
    main(sys.argv[1:])
