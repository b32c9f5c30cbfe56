"""Pages as the site shows them: parts of other pages put in, links turned to what is on the site, anchors to headings.

The pages in docs/ are written to be read where they lie, so that their links lead through the repository. Some pages
of the site lie elsewhere there, and a source file is none at all.
"""

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUTSIDE = {  # file in the repository: its page, by its path below docs/
    "README.md": "quickstart.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "data/README.md": "data.md",
    "data/miniature/README.md": "miniature.md",
}
MADE = {page: source for source, page in OUTSIDE.items() if source != "README.md"}  # the quickstart is parts of it
INCLUDE = re.compile(r"<!-- README: (.+?) -->")
FENCE = re.compile(r"(^ *```.*?^ *```[^\S\n]*$)", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")
ANCHOR = re.compile(r'<a id="([^"]+)"></a>\n(#+ .+)')
CODE = re.compile(r"`([^`\n]+)`")
LONGEST = 28  # letters of a name that a phone's table keeps in one line
HIDDEN = "\ue000"  # a private character in place of a number sign inside a block of code


def of_site(text: str, page: str, *, source: str = "", repository: str = "") -> str:
    """A page's Markdown for the site.

    `page` is its path below docs/, `source` the file that it comes from, where that is another one, and `repository` an
    address below which source files can be read, or nothing.
    """
    text = rewritten(text, source or f"docs/{page}", page, repository)
    return INCLUDE.sub(lambda mark: rewritten(readme(mark[1]), "README.md", page, repository), text)


def api() -> dict[str, str]:
    """The API's pages below docs/ by their titles, in the order of their index."""
    index = (ROOT / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    rooms = re.findall(r"^\| \[`(\S+)`\]\((\S+)\)", index, flags=re.MULTILINE)
    return {"Index": "api/index.md", **{room: f"api/{page}" for room, page in rooms}}


def readme(part: str) -> str:
    """A part of the README by its heading, and with it; before the first one its sentence, "promise", and "demo"."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    above, *parts = re.split(r"^(?=## )", re.sub(FENCE, _hidden, text), flags=re.MULTILINE)
    _, promise, demo = above.split("\n\n", 2)
    sections = {"promise": promise, "demo": demo, **{below.partition("\n")[0].lstrip("# "): below for below in parts}}
    if part not in sections:
        raise ValueError(f"the README has no part {part!r}: {', '.join(sections)}")
    return sections[part].replace(HIDDEN, "#").strip()


def _hidden(block: re.Match[str]) -> str:
    return block[0].replace("#", HIDDEN)


def rewritten(text: str, source: str, page: str, repository: str) -> str:
    """Links, anchors and tables outside blocks of code, as the site needs them."""
    parts = FENCE.split(text)
    for i in range(0, len(parts), 2):
        part = LINK.sub(lambda link: _link(link, source, page, repository), parts[i])
        part = ANCHOR.sub(r"\2 { #\1 }", part)
        parts[i] = "\n".join(_row(line) if line.startswith("|") else line for line in part.split("\n"))
    return "".join(parts)


def _link(link: re.Match[str], source: str, page: str, repository: str) -> str:
    mark, words, target = link.groups()
    path, hash_, anchor = target.partition("#")
    if not path or ":" in path:
        return link[0]
    there = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if there in OUTSIDE or there.startswith("docs/"):
        other = OUTSIDE.get(there, there.removeprefix("docs/"))
        if words in (path, posixpath.basename(path)):
            words = _title(there)
        if other == page and not anchor:
            return words
        return f"{mark}[{words}]({posixpath.relpath(other, posixpath.dirname(page) or '.')}{hash_}{anchor})"
    if not (ROOT / there).exists():
        return link[0]  # mkdocs names it
    if repository:
        return f"{mark}[{words}]({repository}/{there})"
    return f"`{there}`" if words.strip("`") in (there, there.rpartition("/")[2]) else f"{words} (`{there}`)"


def _title(source: str) -> str:
    """The heading of a page, which stands for its file's name."""
    path = ROOT / source
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") if path.is_file() else source


def _row(line: str) -> str:
    """A table's row: inside code a bar needs no backslash here, and would keep it; short names stay in one line."""
    return CODE.sub(_code, line)


def _code(code: re.Match[str]) -> str:
    whole = "{ .whole }" if "-" in code[1] and len(code[1]) <= LONGEST and " " not in code[1] else ""
    return code[0].replace("\\|", "|") + whole
