"""Reading and writing: JSONL, CSV, Parquet, JSON, TOML and safetensors files, each whole or not there."""
