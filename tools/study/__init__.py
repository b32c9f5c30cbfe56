"""The page of results on real text, made of a finished run of `analyses/recipes/study.toml`."""
