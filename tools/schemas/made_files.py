"""The files that `make schema` makes, by their paths."""

import json
from pathlib import Path

from analyses.recipe_schema import recipe_json_schema
from extract.tasks.json_schema import task_json_schema
from tools.api_pages.source import ROOT
from tools.schemas.json_page import json_page

SCHEMAS = ROOT / "data" / "schemas"


def made_files() -> dict[Path, str]:
    """The text of each file as the code would have it; schemas are as `w2s schema` prints them."""
    schemas = {"recipe": recipe_json_schema(), "task": task_json_schema()}
    made = {SCHEMAS / f"{name}.json": json.dumps(schema, indent=1) + "\n" for name, schema in schemas.items()}
    return {**made, ROOT / "docs" / "json.md": json_page()}
