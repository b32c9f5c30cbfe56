"""Stores, label files and folders at addresses: `hf://`, `s3://` and whatever else fsspec reaches."""

from .delivery import Delivery
from .pulling import pull
from .pushing import push

__all__ = ["Delivery", "pull", "push"]
