"""What the checks have found, as one JSON file and one table in Markdown."""

import json
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .checks import Finding, Setting

HEAD = "| check | what | ours | reference | unit | beside | ratio | bar | |\n|---|---|---:|---:|---|---|---:|---:|---|"
PACKAGES = ("torch", "transformers", "nnsight", "faiss-cpu", "numpy", "peft")


def machine(setting: Setting) -> dict[str, Any]:
    """What was measured on and with; asked for in the process that ran checks, where torch is loaded."""
    import os

    import torch

    about: dict[str, Any] = {
        "device": setting.device,
        "size": setting.size,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "float32 products": torch.get_float32_matmul_precision(),
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": os.environ.get("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
    }
    if setting.on_gpu:
        properties = torch.cuda.get_device_properties(0)
        about |= {
            "gpu": properties.name,
            "gpu memory": properties.total_memory,
            "capability": f"{properties.major}.{properties.minor}",
            "cuda": torch.version.cuda,
        }
    return about


def write(out: Path, about: dict[str, Any], findings: Sequence[Finding], seconds: float) -> str:
    """Write gpu-check.json and gpu-check.md; the table."""
    out.mkdir(parents=True, exist_ok=True)
    counts = {status: sum(f.status == status for f in findings) for status in ("pass", "miss", "failed", "left out")}
    record = {"machine": about, "seconds": seconds, "counts": counts, "findings": [vars(f) for f in findings]}
    (out / "gpu-check.json").write_text(json.dumps(record, indent=1, default=str) + "\n", encoding="utf-8")
    page = "\n".join([*_machine_lines(about, seconds, counts), "", HEAD, *map(row, findings)]) + "\n"
    (out / "gpu-check.md").write_text(page, encoding="utf-8")
    return page


def _machine_lines(about: dict[str, Any], seconds: float, counts: dict[str, int]) -> Iterator[str]:
    named = ", ".join(f"{name} {number}" for name, number in about.get("packages", {}).items())
    gpu = f"{about['gpu']} (CUDA {about['cuda']})" if "gpu" in about else f"none: {about.get('device', 'unknown')}"
    yield f"- GPU: {gpu}; {about.get('cores', '?')} cores; sizes: {about.get('size', '?')}"
    yield f"- Python {about.get('python', '?')}, {named}"
    yield f"- {seconds:.0f} s; {', '.join(f'{number} {status}' for status, number in counts.items())}"


def row(finding: Finding) -> str:
    """A finding as a line of the table."""
    bar = "" if finding.bar is None else f"{'≥' if finding.at_least else '≤'} {finding.bar:g}"
    cells = [
        finding.check,
        finding.what,
        number(finding.ours),
        number(finding.reference),
        finding.unit,
        finding.beside,
        number(finding.ratio),
        bar,
        f"**{finding.status}**" if finding.status in ("miss", "failed", "left out") else finding.status,
    ]
    if finding.said:
        cells[-1] += f": {finding.said}"
    return f"| {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in cells)} |"


def number(value: float | None) -> str:
    """Three figures."""
    if value is None or value != value:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
