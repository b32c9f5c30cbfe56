"""The commands of `w2s`: one file a verb."""
