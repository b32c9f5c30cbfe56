"""The page on answers in JSON and the schemas of recipes and task files, made from the code by `make schema`."""

from tools.schemas.json_page import json_page
from tools.schemas.made_files import made_files

__all__ = ["json_page", "made_files"]
