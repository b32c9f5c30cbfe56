"""Rows: their ids, fields and groups, exact duplicates, folds, and rows held out."""
