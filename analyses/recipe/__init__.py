"""Recipes: the schema of their TOML files, reading them, and checks against the models that they name."""

from .schema import Recipe

__all__ = ["Recipe"]
