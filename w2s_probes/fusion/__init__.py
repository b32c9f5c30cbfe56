"""Fusion of the next-token or class logits of three models at test time, without training the strong one."""

from .fused import Fused, FusedExperts, fuse, fuse_experts, fuse_static

__all__ = ["Fused", "FusedExperts", "fuse", "fuse_experts", "fuse_static"]
