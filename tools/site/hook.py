"""The hook of mkdocs: it hands each page to `pages.of_site`, and adds those that are not written by hand in docs/."""

from typing import TYPE_CHECKING, Any

from tools.site.pages import MADE, ROOT, api, of_site

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ALONE = ("index.md", "quickstart.md")  # pages with nothing beside them in their part of the navigation


def on_config(config: "MkDocsConfig", **_: Any) -> None:
    """The API's pages, which a tool makes, in the navigation."""
    assert config.nav is not None
    config.nav.append({"API": [{title: path} for title, path in api().items()]})


def on_files(files: "Files", config: "MkDocsConfig", **_: Any) -> "Files":
    """Pages of files that lie elsewhere in the repository."""
    from mkdocs.structure.files import File

    for page, source in MADE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: "Page", config: "MkDocsConfig", **_: Any) -> str:
    """The page as the site shows it."""
    path = page.file.src_uri
    if path in ALONE:
        page.meta["hide"] = ["navigation"]
    return of_site(markdown, path, source=MADE.get(path, ""), repository=config.repo_url or "")
