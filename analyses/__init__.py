"""The experiments: recipes in, tables of results out."""
