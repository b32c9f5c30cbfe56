"""An audit as one HTML page, answered by keyboard: it fetches nothing, needs no server, and saves a CSV to fold."""

import base64
import hashlib
import html
import json
import re
from pathlib import Path

from ..errors import InputError
from ..io.files import replacing
from ..io.plain_values import is_missing
from ..noise.audits import INCLUSION
from ..printable import as_utf8
from .audit_rows import CHECKSUM, DESIGN, ORDER, STRATUM, TEXT, AuditRows

TEMPLATE = Path(__file__).parent / "template"
ENDINGS = (".html", ".htm")
QUESTION = "Which class is this text of?"
SAVED = "audit_done.csv"


def refuse_no_page_name(path: Path) -> None:
    """InputError for no HTML file's name."""
    if not path.name.lower().endswith(ENDINGS):
        raise InputError(f"{path}: the page is an HTML file: its name must end in {' or '.join(ENDINGS)}")


def write_audit_page(audit: AuditRows, path: Path | str, *, question: str = QUESTION, saved: str = SAVED) -> None:
    """Write the page, whole or not at all; the same audit gives the same bytes.

    `question` stands above each text, `saved` is the name of the CSV that the page saves. Weak labels are not in it.
    InputError for an audit without texts.
    """
    path = Path(path)
    refuse_no_page_name(path)
    if TEXT not in audit.table:
        raise InputError(
            f"{audit.where}: has no `text`, and a page shows texts: draw with --rows, or from labels with texts"
        )
    content = as_utf8(_page(audit, path.stem, question, saved)).encode()
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _page(audit: AuditRows, title: str, question: str, saved: str) -> str:
    style, script = ((TEMPLATE / name).read_text(encoding="utf-8").strip() for name in ("page.css", "page.js"))
    fields = {"style": style, "script": script, "style_hash": _hash(style), "script_hash": _hash(script)}
    zero, one = (f"class {name}" if name in "01" else name for name in audit.names)
    fields |= {"title": html.escape(title), "question": html.escape(question)}
    fields |= {"zero": html.escape(zero), "one": html.escape(one), "rows": _rows(audit, saved)}
    template = (TEMPLATE / "page.html").read_text(encoding="utf-8")
    # All at once: what a text holds is no place to fill.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: fields[place[1]], template)


def _rows(audit: AuditRows, saved: str) -> str:
    """The rows as JSON that no HTML can end: `<`, `>` and `&` are escaped in it, and so is all but ASCII."""
    table = audit.table
    rows = [
        {
            "id": str(name),
            "text": "" if is_missing(text) else str(text),
            "order": int(at),
            "stratum": stratum,
            "inclusion": str(float(pi)),
        }
        for name, text, at, stratum, pi in zip(
            table["id"], table[TEXT], table[ORDER], table[STRATUM], table[INCLUSION], strict=True
        )
    ]
    about = {"design": str(table[DESIGN].iloc[0]), "checksum": str(table[CHECKSUM].iloc[0]), "file": saved}
    text = json.dumps({**about, "rows": rows})
    return re.sub("[<>&]", lambda letter: f"\\u{ord(letter[0]):04x}", text)


def _hash(text: str) -> str:
    """A source that a content security policy allows, by its content."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
