"""`python -m tests.benchmarks [GROUP]... [--markdown FILE]`: measure and print the table."""

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `w2s` sets it
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch

from tests.benchmarks import (
    attention,
    audits,
    data,
    demo,
    extraction,
    finetune,
    fusion,
    generating,
    heads,
    logistic,
    many_tokens,
    memory,
    million,
    neighbors,
    noise,
    offloading,
    published_sweep,
    smoothing,
    stores,
    student_sweep,
    sweep,
    transfers,
    vector_probes,
)
from tests.benchmarks.timing import Line

GROUPS = {
    "extraction": extraction.cases,
    "stores": stores.cases,
    "transfers": transfers.cases,
    "memory": memory.cases,
    "offload": offloading.cases,
    "neighbors": neighbors.cases,
    "smoothing": smoothing.cases,
    "logistic": logistic.cases,
    "probes": vector_probes.cases,
    "noise": noise.cases,
    "audits": audits.cases,
    "finetune": finetune.cases,
    "heads": heads.cases,
    "attention": attention.cases,
    "fusion": fusion.cases,
    "generating": generating.cases,
    "demo": demo.cases,
    "sweep": sweep.cases,
    "student-sweep": student_sweep.cases,
}
LONG = {  # hours: only where they are named
    "published-sweep": published_sweep.cases,
    "million": million.cases,
    "many-tokens": many_tokens.cases,
}
HEAD = "| what | ours | reference | unit | beside | ratio | bar |\n|---|---:|---:|---|---|---:|---:|"


def main() -> None:
    """Measure, print, and exit with 1 where a bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "groups", nargs="*", metavar="group", help=f"of {', '.join(GROUPS | LONG)}; without: all but {', '.join(LONG)}"
    )
    parser.add_argument("--markdown", type=Path, help="write the table there too")
    options = parser.parse_args()
    if unknown := set(options.groups) - set(GROUPS | LONG):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    said = [*machine(), "", *HEAD.splitlines()]
    print("\n".join(said), flush=True)
    lines = []
    for group in options.groups or GROUPS:
        for line in (GROUPS | LONG)[group]():
            lines.append(line)
            said.append(row(line))
            print(said[-1], flush=True)
    if options.markdown:
        options.markdown.write_text("\n".join(said) + "\n")
    sys.exit(not all(line.ok for line in lines))


def machine() -> Iterator[str]:
    """What was measured on and with."""
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in cpuinfo.splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    flags = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in fields.get("flags", "").split()]
    yield f"- Machine: {fields.get('model name', platform.processor())}, {os.cpu_count()} cores; {', '.join(flags)}"
    if torch.cuda.is_available():
        yield f"- GPU: {torch.cuda.get_device_name()}"
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "transformers", "nnsight", "h5py", "faiss-cpu", "numpy")
    )
    yield f"- Python {platform.python_version()}, {packages}; {torch.get_num_threads()} threads"
    yield f"- Texts: {data.source()}"


def row(line: Line) -> str:
    """A line as Markdown."""
    bar = "" if not line.bar else f"{'≥' if line.at_least else '≤'} {line.bar:g}{'' if line.ok else ' **missed**'}"
    return (
        f"| {line.what} | {number(line.ours)} | {number(line.reference)} | {line.unit} | {line.against} "
        f"| {line.ratio:.2f} | {bar} |"
    )


def number(value: float) -> str:
    """Three figures."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


main()
