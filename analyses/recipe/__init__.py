"""Recipes: the schema of their TOML files, reading them, and checks against the models that they name.

Nothing is imported here: the names of methods are read without any package.
"""
