"""Students: what is trained on weak labels. Importing this package loads torch."""

from .head import HeadStudent

__all__ = ["HeadStudent"]
