"""The last predictions of all processes, from which log-confidence takes its threshold where batches are small."""

from collections import deque
from collections.abc import Iterable

import torch
from torch import Tensor, distributed


class RecentPredictions:
    """The last `size` predictions f that were added.

    >>> recent = RecentPredictions(size=3)
    >>> recent.add([0.1, 0.2, 0.4, 0.8])
    >>> recent.tolist(), round(recent.threshold(), 2)
    ([0.2, 0.4, 0.8], 0.4)
    """

    def __init__(self, size: int = 32) -> None:
        self._recent: deque[float] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._recent)

    def add(self, f: Tensor | Iterable[float]) -> None:
        """Add predictions (n,), the latest last."""
        self._recent.extend(f.tolist() if isinstance(f, Tensor) else f)

    def threshold(self, prior: float = 0.5, dtype: torch.dtype = torch.float32) -> float:
        """The value that the share `prior` of them exceeds to within one: at one half their median."""
        return float(torch.tensor(list(self._recent), dtype=dtype).quantile(1 - prior))

    def tolist(self) -> list[float]:
        """The predictions, the latest last."""
        return list(self._recent)


def of_all_processes(rows: Tensor) -> Tensor:
    """The rows (n, k) of all processes, (N, k), in turns: the first row of each process, then the second, and so on.

    So the last rows of the result come from all processes evenly. Every process must call this equally often; n may
    differ between them. Without several processes the rows come back as they are.
    """
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return rows
    count = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.empty_like(count) for _ in range(distributed.get_world_size())]
    distributed.all_gather(counts, count)
    sizes = torch.cat(counts)
    padded = rows.new_zeros(int(sizes.max()), rows.shape[1])
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in counts]
    distributed.all_gather(parts, padded)
    real = torch.arange(len(padded), device=rows.device)[:, None] < sizes
    return torch.stack(parts, dim=1)[real]
