"""A configuration file of accelerate, as far as a fine-tuning follows one: over how many processes a model is sharded.

Read and refused without torch or accelerate. What decides numbers, such as precision, clipping and optimiser, is the
fine-tuning's own, and a file that says otherwise is refused.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...errors import InputError, reason
from ...io.json_files import refuse_unreasonable
from ...io.validated import validated
from .zero_config import ZeroConfig

PREFIX = "fsdp_"
# What `accelerate config` writes beside, and no number hangs on.
IDLE: tuple[str, ...] = (
    "debug",
    "downcast_bf16",
    "enable_cpu_affinity",
    "main_process_ip",
    "main_process_port",
    "same_network",
)
IDLE += ("main_training_function", "rdzv_backend", "tpu_env", "tpu_use_cluster", "tpu_use_sudo")
OF_FIRST_FSDP = ("backward_prefetch", "forward_prefetch", "sharding_strategy", "sync_module_states", "use_orig_params")


class Sharding(BaseModel):
    """`fsdp_config`: how PyTorch's fully sharded data parallelism, the second one, splits a model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fsdp_version: Literal[2]
    fsdp_auto_wrap_policy: Literal["TRANSFORMER_BASED_WRAP", "SIZE_BASED_WRAP", "NO_WRAP"] = "TRANSFORMER_BASED_WRAP"
    fsdp_transformer_layer_cls_to_wrap: str | None = None  # the classes of blocks; None: those that the model names
    fsdp_min_num_params: int = Field(100_000_000, ge=1)  # of SIZE_BASED_WRAP
    fsdp_reshard_after_forward: bool = True
    fsdp_offload_params: bool = False
    fsdp_cpu_ram_efficient_loading: bool = True  # the first process alone reads the weights
    fsdp_state_dict_type: str = "FULL_STATE_DICT"  # what is saved is as of one process, whatever is said here
    fsdp_activation_checkpointing: bool = False

    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: Any) -> Any:
        """Names with and without their prefix; those of the first FSDP mean nothing to the second."""
        if not isinstance(values, dict):
            return values
        named = {name if str(name).startswith(PREFIX) else f"{PREFIX}{name}": value for name, value in values.items()}
        if named.get("fsdp_version", 1) != 2:
            raise ValueError("fsdp_version: 2 is what is driven: write it, and leave out what only version 1 has")
        return {name: value for name, value in named.items() if name.removeprefix(PREFIX) not in OF_FIRST_FSDP}

    @model_validator(mode="after")
    def _saved_memory(self) -> "Sharding":
        if self.fsdp_activation_checkpointing:
            raise ValueError("fsdp_activation_checkpointing: set gradient_checkpointing of the fine-tuning instead")
        return self

    @property
    def environment(self) -> dict[str, str]:
        """The variables from which accelerate takes these."""
        values = {name.upper(): value for name, value in self.model_dump().items() if value is not None}
        classes = values.pop("FSDP_TRANSFORMER_LAYER_CLS_TO_WRAP", None)
        if classes is not None:
            values["FSDP_TRANSFORMER_CLS_TO_WRAP"] = classes
        said = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()}
        return said | {"ACCELERATE_USE_FSDP": "true"}


class AccelerateConfig(BaseModel):
    """What a configuration file of accelerate says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    compute_environment: Literal["LOCAL_MACHINE"] = "LOCAL_MACHINE"
    distributed_type: Literal["NO", "FSDP", "DEEPSPEED"]
    num_processes: int = Field(1, ge=1)  # over all machines
    num_machines: int = Field(1, ge=1)
    machine_rank: int = Field(0, ge=0)
    mixed_precision: Literal["no"] = "no"
    use_cpu: bool = False
    gpu_ids: str = "all"
    fsdp_config: Sharding | None = None
    deepspeed_config: ZeroConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, values: Any) -> Any:
        """YAML reads a bare NO as false; a few kinds are refused with the reason."""
        if not isinstance(values, dict):
            return values
        values = {name: value for name, value in values.items() if name not in IDLE and value is not None}
        for name, no in (("distributed_type", "NO"), ("mixed_precision", "no")):
            if values.get(name) is False:
                values[name] = no
        kind = values.get("distributed_type")
        if str(kind).startswith("MULTI_"):
            raise ValueError(
                f"distributed_type: {kind} gives every process the whole model, as engine = 'loop' does under torchrun:"
                " take that, or FSDP"
            )
        if values.get("mixed_precision", "no") != "no":
            raise ValueError(
                f"mixed_precision: {values['mixed_precision']!s:.20}: the fine-tuning's dtype says it: write 'no'"
            )
        for name in (f"{part}_config" for part in ("fsdp", "deepspeed", "megatron_lm", "parallelism", "dynamo", "fp8")):
            if not values.get(name):
                values.pop(name, None)
        return values

    @model_validator(mode="after")
    def _one_way(self) -> "AccelerateConfig":
        if self.distributed_type == "NO" and self.num_processes > 1:
            raise ValueError(f"num_processes: {self.num_processes}, and distributed_type NO is of one: choose FSDP")
        if self.distributed_type == "FSDP" and self.fsdp_config is None:
            raise ValueError("fsdp_config is lacking: give fsdp_version: 2 in it")
        if self.distributed_type == "DEEPSPEED" and self.deepspeed_config is None:
            raise ValueError("deepspeed_config is lacking: give zero_stage in it, 1 to 3")
        return self

    @property
    def zero_stage(self) -> int | None:
        """What DeepSpeed splits over the processes; None where it does not train."""
        zero = self.deepspeed_config
        return zero.zero_stage if zero is not None and self.distributed_type == "DEEPSPEED" else None

    @property
    def environment(self) -> dict[str, str]:
        """The variables from which accelerate, and DeepSpeed, take all this."""
        said = {"ACCELERATE_MIXED_PRECISION": "no", "ACCELERATE_USE_CPU": str(self.use_cpu).lower()}
        if self.zero_stage is not None and self.use_cpu:
            said["DS_ACCELERATOR"] = "cpu"
        sharded = self.fsdp_config if self.distributed_type == "FSDP" and self.num_processes > 1 else None
        return said | (sharded.environment if sharded else {})


def read_accelerate_config(path: Path) -> AccelerateConfig:
    """The configuration in a YAML or JSON file; InputError for one that cannot be read, or is not followed."""
    import yaml

    if not path.is_file():
        raise InputError(f"accelerate = '{path}': no such file: write one by `accelerate config --config_file {path}`")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        refuse_unreasonable(values)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML ({reason(error)})") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: is no configuration of accelerate: write one by `accelerate config`")
    return validated(AccelerateConfig, {str(name): value for name, value in values.items()}, str(path))


def refuse_other_sharding(environment: Mapping[str, str], config: AccelerateConfig | None = None) -> None:
    """InputError where `accelerate launch` has said by variables what no configuration could, or what this one doesn't.

    `environment` is with the configuration's own variables.
    """
    zero = config is not None and config.zero_stage is not None

    def said(name: str) -> str:
        return environment.get(name, "").lower()

    if said("ACCELERATE_USE_DEEPSPEED") == "true":
        raise InputError("accelerate launch sets DeepSpeed up for itself: start by torchrun, and give `accelerate`")
    if zero and said("ACCELERATE_USE_FSDP") == "true":
        raise InputError("accelerate launch: says FSDP, and `accelerate` DEEPSPEED: start by torchrun")
    if int(environment.get("WORLD_SIZE", "1")) > 1 and said("ACCELERATE_USE_FSDP") != "true" and not zero:
        raise InputError(
            "engine = 'trainer' in several processes shards the model: give `accelerate`, a file with distributed_type:"
            " FSDP or DEEPSPEED, or take engine = 'loop'"
        )
    if said("ACCELERATE_USE_FSDP") == "true" and environment.get("FSDP_VERSION") != "2":
        raise InputError("accelerate launch: write fsdp_version: 2 into its configuration: no other is driven")
    if said("ACCELERATE_MIXED_PRECISION") not in ("", "no"):
        raise InputError("accelerate launch: mixed_precision: the fine-tuning's dtype says it: write 'no'")


@contextmanager
def environment_of(variables: Mapping[str, str]) -> Iterator[None]:
    """The process's variables with these on top, for a time."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
