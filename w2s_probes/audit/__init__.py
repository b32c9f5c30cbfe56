"""Audits of what a conflicting objective costs a student, by what the strong model and the supervisor know."""

from .conflict_files import AuditedScores, audit_files
from .tax import ConflictAudit, conflict_audit

__all__ = ["AuditedScores", "ConflictAudit", "audit_files", "conflict_audit"]
