"""The measures that a sweep's table holds, and each in words."""

MEASURES = {
    "weak_auroc": "AUROC against the weak labels",
    "auroc_gain": "AUROC of the probe − of the weak labels, by truth",
    "auroc": "AUROC, by truth",
    "accuracy": "accuracy, by truth",
    "weak_brier": "Brier score against the weak labels",
    "transfer_cosine": "cosine to the probe of the held-out rows' labels",
}
STUDENT_MEASURES = {"pgr_auroc": "PGR in AUROC"}
FILTER_MEASURES = {
    "removed": "rows removed",
    "overshoot": "removed beyond those asked for",
    "precision": "wrong of removed, by truth",
    "base_rate": "wrong of all, by truth",
    "recall": "wrong labels found, by truth",
    "accuracy_kept": "accuracy of the labels kept, by truth",
}


def name_of(measure: str) -> str:
    """A measure in words."""
    return (MEASURES | FILTER_MEASURES | STUDENT_MEASURES).get(measure, measure)
