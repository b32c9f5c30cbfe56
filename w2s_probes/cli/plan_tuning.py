"""The lines on the memory of a fine-tuning, with the arithmetic that they come from."""

from typing import TYPE_CHECKING

from .plan_intervals import fact_line
from .units import amount

if TYPE_CHECKING:
    from analyses.tuning_memory import TuningMemory


def memory_lines(model: str, memory: "TuningMemory") -> list[str]:
    """The lines on one fine-tuning: a process's device and the computer's memory."""
    names = {
        "weights": memory.weights,
        "gradients": memory.gradients,
        "moments of AdamW": memory.moments,
        "gathered for a time": memory.gathered,
        "weights once more in bfloat16": memory.copies,
        f"activations of {memory.tokens:,} tokens": memory.activations,
    }
    parts = " + ".join(f"{name} {amount(size, 'B')}" for name, size in names.items() if size)
    dtype = "bfloat16" if memory.bfloat16 else "float32"
    said = f"{model}: {memory.what}, products in {dtype}: {amount(memory.device, 'B')} a process = {parts}"
    others = "every process reads it so" if memory.all_read else "no other process does"
    first = f"{amount(memory.loading, 'B')} while the first process reads the checkpoint ({others})"
    host = (
        f"{first}, {amount(memory.writing, 'B')} there while a state is written; {amount(memory.resting, 'B')} in each"
    )
    return [
        fact_line("memory", said),
        fact_line("", "reckoned from config, settings and rows, and not measured: activations can be twice as much"),
        fact_line("host memory", f"{host}, beside the program"),
    ]
