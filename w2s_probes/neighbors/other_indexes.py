"""Other ways to find candidates than faiss's exhaustive search: on a GPU, or approximately."""

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .exhaustive import RoughIndex
from .final_order import SearchRows, in_unit, settled

CELLS = 1 << 27  # distances held at once on a device: half a gigabyte


def on_device(device: str) -> Callable[[NDArray[np.float32]], RoughIndex]:
    """Exhaustive float32 search through torch on a device such as `cuda`; InputError where it is not there."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise InputError(f"index={device!r} needs torch: pip install 'w2s-probes[models]', or use 'exact'") from error
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"index={device!r}: torch cannot use this device ({reason}); use 'exact'") from error
    return lambda rows: _TorchIndex(rows, device)


class _TorchIndex:
    def __init__(self, rows: NDArray[np.float32], device: str) -> None:
        import torch

        self.device = device
        self.rows = torch.from_numpy(rows).to(device)
        self.squares = self.rows.square().sum(dim=1)

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """As `RoughIndex.search`. Products are true float32: TF32, where somebody has allowed it, loses neighbours."""
        import torch

        distances = np.empty((len(queries), k), dtype=np.float32)
        indices = np.empty((len(queries), k), dtype=np.int64)
        allowed = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = False
        try:
            step = max(1, CELLS // len(self.rows))
            for part in (slice(start, start + step) for start in range(0, len(queries), step)):
                asked = torch.from_numpy(queries[part]).to(self.device)
                far = torch.addmm(self.squares, asked, self.rows.T, alpha=-2)
                far += asked.square().sum(dim=1)[:, None]
                nearest = far.topk(k, dim=1, largest=False)
                distances[part], indices[part] = nearest.values.cpu().numpy(), nearest.indices.cpu().numpy()
        finally:
            torch.backends.cuda.matmul.allow_tf32 = allowed
        return distances, indices


class ApproximateIndex:
    """An index that any faiss factory string describes, such as "IVF256,Flat" or "HNSW32", over rows X (n, d)."""

    def __init__(self, X: NDArray[np.float32], description: str) -> None:
        self.X, self.description = X, description
        rows = SearchRows.of(X, X)
        self.unit = rows.unit
        self.center = rows.base.mean(axis=0, dtype=np.float64).astype(np.float32)
        base = rows.base - self.center
        try:
            self.index: Any = faiss.index_factory(X.shape[1], description)
            self.index.train(base)
            self.index.add(base)
        except RuntimeError as error:
            # faiss puts the place in its source before what it says.
            said = [line for line in str(error).splitlines() if line.strip()]
            reason = said[-1].split("' failed: ")[-1] if said else "no reason given"
            raise InputError(
                f"index={description!r} is neither 'exact', 'cuda' nor a faiss factory string that fits "
                f"{len(X)} rows of {X.shape[1]} numbers: {reason.strip()}"
            ) from error

    def search(self, k: int, queries: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Rows (m, k) near to each query (m, d), measured again and ordered; -1 where the index found none."""
        rows = SearchRows.of(queries, self.X)
        with np.errstate(over="ignore"):  # a query beyond all rows by more than float32 holds finds none here
            asked = in_unit(queries, self.unit) - self.center
        _, nearest = self.index.search(asked, k)
        far = rows.direct(np.repeat(np.arange(len(queries)), k), np.maximum(nearest, 0).ravel()).reshape(nearest.shape)
        far[nearest < 0] = np.inf
        indices, distances = settled(rows, np.arange(len(queries)), nearest, far)
        return indices, distances * rows.unit**2
