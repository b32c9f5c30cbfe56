"""Audits of labels by people: drawing rows with known probabilities, a page to answer on, and what the answers say.

Not the deception audit, which is in `w2s_probes.audit` and reads the truth of every row.
"""

from .audit_draw import draw_audit
from .audit_files import read_audit_rows, write_audit
from .audit_rows import AuditRows
from .folding import FoldedAudit, fold_audit
from .page import write_audit_page

__all__ = [
    "AuditRows",
    "FoldedAudit",
    "draw_audit",
    "fold_audit",
    "read_audit_rows",
    "write_audit",
    "write_audit_page",
]
