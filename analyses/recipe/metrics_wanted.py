"""The recipe's `[results]`: the metrics that tables and comparisons give."""

from pydantic import Field

from w2s_probes.metrics.metric_names import DEFAULT_METRICS, Metric

from .section import Section


class Results(Section):
    """The numbers that tables and comparisons give."""

    metrics: list[Metric] = Field(list(DEFAULT_METRICS))  # beside AUROC and accuracy, which every table has

    @property
    def every_metric(self) -> list[Metric]:
        """The metrics, each once, with those that every table has first."""
        return list(dict.fromkeys([*DEFAULT_METRICS, *self.metrics]))
