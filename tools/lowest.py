"""Requirements of the lowest versions that pyproject.toml declares, for a run of the tests with them.

`python tools/lowest.py models dask` prints one requirement a line: the core's dependencies and those of the named
extras, each at its declared lower bound, and the test tools at the versions of constraints.txt. What these depend on
in their turn is left to pip.
"""

import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
# At the version of constraints.txt. Torch: every release is gigabytes. Its bound is the one that transformers asks for.
PINNED = ("torch",)
TOOLS = ("pytest", "pytest-xdist", "hypothesis", "threadpoolctl", "filelock")
BOUND = re.compile(r"(?P<name>[A-Za-z0-9._-]+)>=(?P<version>[0-9][0-9a-z.]*)")


def lowest(extras: Sequence[str] = (), root: Path = ROOT) -> list[str]:
    """The requirements `name==version`, in the order of pyproject.toml, then the test tools.

    ValueError for a dependency that is not declared as `name>=version` alone.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    optional = project.get("optional-dependencies", {})
    if unknown := [extra for extra in extras if extra not in optional]:
        raise ValueError(f"{unknown[0]}: no such extra; there are {', '.join(optional)}")
    versions = {}
    for requirement in (*project["dependencies"], *(line for extra in extras for line in optional[extra])):
        bound = BOUND.fullmatch(requirement)
        if bound is None:
            raise ValueError(f"{requirement!r}: write name>=version, so that the lowest can be tested")
        versions[bound["name"]] = bound["version"]
    constraints = dict(_constraints(root / "constraints.txt"))
    versions |= {name: constraints[name] for name in TOOLS} | {n: constraints[n] for n in PINNED if n in versions}
    return [f"{name}=={version}" for name, version in versions.items()]


def _constraints(path: Path) -> list[tuple[str, str]]:
    """(name, version) of each line."""
    lines = [line for line in path.read_text().splitlines() if "==" in line]
    return [(name.lower().replace("_", "-"), version) for name, _, version in (line.partition("==") for line in lines)]


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest(sys.argv[1:])) + "\n")
