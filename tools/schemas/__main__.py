"""`python -m tools.schemas` writes docs/json.md and data/schemas."""

from tools.schemas.made_files import made_files

if __name__ == "__main__":
    for path, text in made_files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
