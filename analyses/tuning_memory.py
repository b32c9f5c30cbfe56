"""The memory of a fine-tuning, by arithmetic: what each of its processes holds, split over several or whole."""

from dataclasses import dataclass
from pathlib import Path

from extract.costs.estimate import SCORE_COPIES, Costs
from extract.costs.flops import block_work
from extract.models.source import ModelSource
from w2s_probes.students.finetuning.accelerate_config import AccelerateConfig, read_accelerate_config
from w2s_probes.students.finetuning.settings import FineTuning

WORD, HALF, FOUR_BITS = 4, 2, 0.52  # bytes of a number in float32, in bfloat16, and in nf4 with its scales
MOMENTS = 2 * WORD
# Bytes that the way back keeps of a token for each number of `BlockWork.held`, by autograd's saved tensors: in bfloat16
# 3.0 to 4.1 of Llama, Qwen 2, Mistral, Phi 3, GPT-NeoX and ModernBERT; 6.1 to 7.9 of Gemma 2, BERT and GPT-2.
KEPT = {True: 4.1, False: 6.2}  # whether products are in bfloat16
BUCKET, LIVE = 500_000_000, 1_000_000_000  # numbers: of DeepSpeed's sums of gradients, and gathered at a time


@dataclass(frozen=True)
class TuningMemory:
    """Bytes that one process of a fine-tuning holds, on its device and in the computer's memory."""

    what: str  # the kind, and what splits the model over how many processes
    bfloat16: bool
    weights: float
    gradients: float
    moments: float
    gathered: float  # of what is split: blocks and tables that are whole for a time, and sums of gradients
    copies: float  # of float32 weights in bfloat16, which the way back keeps
    activations: float  # which the way back keeps
    tokens: int  # of a pass, whose activations these are
    loading: float  # in the computer's memory, while the first process reads the checkpoint
    all_read: bool  # whether every other process reads it, too
    writing: float  # in that of the first process, while a state is written
    resting: float  # in that of each process: its part of the best point, and what is offloaded

    @property
    def device(self) -> float:
        """Memory of the device at the fullest moment."""
        return self.weights + self.gradients + self.moments + self.gathered + self.copies + self.activations


def tuning_memory(source: ModelSource, costs: Costs, settings: FineTuning) -> TuningMemory:
    """The memory of fine-tuning a model; InputError for a file that is not followed.

    `costs` are of reading the training rows once. A head of two numbers counts as nothing.
    """
    config = None if settings.accelerate is None else read_accelerate_config(Path(settings.accelerate))
    n, stage = (1, None) if config is None else (config.num_processes, config.zero_stage)
    on_processor = config is not None and config.use_cpu
    low = settings.dtype == "bfloat16" or (settings.dtype == "auto" and not on_processor)
    full, blocks = settings.kind == "full", list(source.skeleton.get_submodule(source.block_path).children())
    sizes = [sum(p.numel() for p in block.parameters()) for block in blocks]
    outside, frozen = costs.parameters - sum(sizes), HALF if low else WORD
    in_blocks = WORD if full else FOUR_BITS if settings.quantize else frozen
    trained = costs.parameters if full else adapter_numbers(source, settings)
    table = outside * (WORD if full else frozen)
    whole = sum(sizes) * in_blocks + table + (0 if full else WORD * trained)
    gathered, largest = 0.0, max(sizes) * in_blocks
    if n > 1 and stage is None:
        gathered = table + 2 * largest + (max(largest, table) if full else 0)
        gathered = gathered if _resharded(config) else whole + (max(largest, table) if full else 0)
    if n > 1 and stage is not None:
        gathered = WORD * min(BUCKET, trained) + (min(whole, WORD * LIVE) if stage == 3 else 0)
    split = {None: (n, n), 1: (1, 1), 2: (1, n), 3: (n, n)}[stage if n > 1 else None]
    parts = {"weights": whole / split[0], "gradients": WORD * trained / split[1], "moments": MOMENTS * trained / n}
    if n > 1 and stage is not None:  # DeepSpeed's own float32 part of what is trained
        parts["weights"] += WORD * trained / n
    best = WORD * trained / n
    offloaded = config is not None and config.fsdp_config is not None and config.fsdp_config.fsdp_offload_params
    resting = best + (sum(parts.values()) if offloaded else 0)
    parts = dict.fromkeys(parts, 0.0) if offloaded else parts
    tokens = max(costs.longest, min(settings.batch_tokens, -(-settings.batch_size // n) * costs.longest))
    kept = [_kept(source, number, costs.longest, low=low) for number in range(len(blocks))]
    stream = WORD * costs.width * len(blocks)
    checkpointed = settings.gradient_checkpointing
    first_alone = n > 1 and stage is None and (config is None or _first_reads(config))
    return TuningMemory(
        what=f"{settings.kind}{', nf4' if settings.quantize else ''}, {_split(n, stage)}",
        bfloat16=low,
        gathered=gathered,
        copies=HALF * (max(sizes) if checkpointed else sum(sizes)) if full and low else 0,
        activations=tokens * (stream + max(kept) if checkpointed else sum(kept)),
        tokens=tokens,
        loading=sum(sizes) * (WORD if full else frozen) + table,
        all_read=n > 1 and not first_alone,
        # As they are, two moments, and the best point.
        writing=(2 * WORD + MOMENTS) * trained + resting,
        resting=resting,
        **parts,
    )


def adapter_numbers(source: ModelSource, settings: FineTuning) -> int:
    """The numbers of low-rank adapters beside a model's matrices, or of those that `lora_targets` names."""
    blocks, total = source.skeleton.get_submodule(source.block_path), 0
    for name, parameter in blocks.named_parameters():
        module = name.rpartition(".")[0]
        named = settings.lora_targets is None or any(
            f".{one}".endswith(f".{end}") for end in settings.lora_targets for one in (module, name)
        )
        if parameter.dim() >= 2 and named:
            copies = parameter.shape[0] if parameter.dim() == 3 else 1
            total += copies * settings.lora_rank * sum(parameter.shape[-2:])
    return total


def _kept(source: ModelSource, number: int, longest: int, *, low: bool) -> float:
    """Bytes of a token that the way back through a block keeps."""
    block = list(source.skeleton.get_submodule(source.block_path).children())[number]
    scores = 0.0
    if getattr(source.skeleton.config, "_attn_implementation", None) == "eager":
        scores = SCORE_COPIES * WORD * longest * getattr(source.config.get_text_config(), "num_attention_heads", 0)
    return KEPT[low] * block_work(block, source.config, number).held + scores


def _split(n: int, stage: int | None) -> str:
    if n == 1:
        return "whole in one process"
    return f"split over {n} processes by {'FSDP' if stage is None else f'DeepSpeed, stage {stage}'}"


def _resharded(config: AccelerateConfig | None) -> bool:
    return config is None or config.fsdp_config is None or config.fsdp_config.fsdp_reshard_after_forward


def _first_reads(config: AccelerateConfig) -> bool:
    return config.fsdp_config is None or config.fsdp_config.fsdp_cpu_ram_efficient_loading
