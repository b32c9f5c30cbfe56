"""`deepspeed_config` of a configuration file of accelerate, as far as a fine-tuning follows one: ZeRO's stage.

Read and refused without torch or DeepSpeed. What decides numbers is the fine-tuning's own, as for FSDP.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# What `accelerate config` writes beside: of weights in 16 bits, which no fine-tuning saves, and of its own launcher.
IDLE = ("zero3_save_16bit_model", "deepspeed_multinode_launcher")
OF_THE_FINE_TUNING = {
    "gradient_accumulation_steps": "batch_size and batch_tokens of the fine-tuning say how a batch is read: write 1",
    "gradient_clipping": "clip of the fine-tuning says it: leave it out",
}
NOT_DRIVEN = {
    "deepspeed_config_file": "DeepSpeed's own file decides numbers, too: leave it out, and write zero_stage here",
    "zero3_init_flag": "every process reads the checkpoint, and then keeps its part: write false, or choose FSDP",
    "offload_optimizer_device": "nothing is moved to the processor, which wants DeepSpeed's own optimiser: write none",
    "offload_param_device": "nothing is moved to the processor: write none",
}


class ZeroConfig(BaseModel):
    """`deepspeed_config`: what of a training DeepSpeed splits over the processes (Rajbhandari et al. 2020)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zero_stage: Literal[1, 2, 3] = Field(2)  # the optimiser's moments; gradients, too; weights, too

    @model_validator(mode="before")
    @classmethod
    def _followed(cls, values: Any) -> Any:
        """Without what says nothing, or says what is done anyway; the rest is refused with the reason."""
        if not isinstance(values, dict):
            return values
        if values.get("zero_stage") == 0:
            raise ValueError("zero_stage: 0 gives every process the whole model, as engine = 'loop' does: choose 1-3")
        for name, reason in (OF_THE_FINE_TUNING | NOT_DRIVEN).items():
            usual = ("auto", "none", None, 1 if name == "gradient_accumulation_steps" else False)
            value = values.get(name)
            if value not in usual:
                raise ValueError(f"{name}: {str(value).lower() if value is True else value!s:.40}: {reason}")
        idle = {*IDLE, *OF_THE_FINE_TUNING, *NOT_DRIVEN}
        return {name: value for name, value in values.items() if name not in idle and not name.endswith("_nvme_path")}
