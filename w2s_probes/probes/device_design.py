"""A layer's activations on a GPU, prepared for logistic fits there: the same fits, their matrices on the device."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..devices import PROCESSOR, DeviceError, forget_unused, in_words, opened, out_of_memory, sent, true_float32
from ..randomness import stream
from .design import POWERS, Design
from .matrices import host
from .spectrum import EXACT, PASSES, RANK, Spectrum

BLOCK = 1 << 25  # numbers in float64 at once: a quarter of a gigabyte


@dataclass(frozen=True, eq=False, repr=False)
class DeviceDesign(Design):
    """A `Design` whose products are a torch device's, in true float32, and in float64 where those are float64.

    Rows and scaled rows lie there, twice the memory of X, beside those of the processor.
    """

    device: Any
    rows: Any  # X (n, d) on the device
    scaled: Any  # matrix (n, d) on the device

    @classmethod
    def of(cls, X: ArrayLike, device: str = "cuda") -> Design:
        """Prepare activations X (n, d) on this device; a `Design` of the processor where a device does not pay.

        That is a small matrix, or one of fewer rows than columns. DeviceError where torch has no such device, it has no
        float64, or X does not fit into its memory; InputError as `Design.of` says.
        """
        there = opened(device, "device", "'cpu'")
        import torch

        given, center, scale, matrix, basis = cls._centred(X)
        if matrix.dtype != np.float32:
            return Design(given, center, scale, matrix, basis, Spectrum.of(matrix))
        try:
            with in_words(device, _held(given), "use 'cpu'"), true_float32():
                rows, scaled = sent(given, there), torch.from_numpy(matrix).to(there)
                center_there = torch.from_numpy(center).to(there)
                spectrum = _spectrum(scaled)
        except TypeError as error:  # as MPS says it
            raise DeviceError(f"device={device!r} has no float64, in which fits are checked: use 'cpu'") from error
        design = cls(given, center, scale, matrix, None, spectrum, there, rows, scaled)
        design.__dict__["_center"] = center_there
        return design

    @property
    def xp(self) -> Any:
        """Torch."""
        import torch

        return torch

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Products inside are true to float32; DeviceError where what is computed has no room."""
        with in_words(str(self.device), f"{_held(self.X)} and a fit", "use 'cpu'"), true_float32():
            yield

    def has_room_after(self, error: BaseException) -> bool:
        """Whether memory was what lacked; what nothing uses any more is then let go, so that less may fit."""
        if not out_of_memory(error):
            return False
        error.__traceback__ = None  # whose frames hold what was too much
        forget_unused()
        return True

    def put(self, values: NDArray[Any]) -> Any:
        """A matrix to the device."""
        return self.xp.from_numpy(values).to(self.device)

    def solve(self, spectrum: Spectrum, g: Any, l2: NDArray[np.float64], curvature: NDArray[np.float64]) -> Any:
        """`Spectrum.solve` of gradients (k, d) on the device."""
        vectors = self._vectors_of(spectrum, g)
        inside, outside = spectrum.inverses(l2, curvature)
        if outside is None:
            return ((g @ vectors) * g.new_tensor(inside)) @ vectors.T
        return ((g @ vectors) * g.new_tensor(inside - outside)) @ vectors.T + g.new_tensor(outside) * g

    def forward(self, theta: Any, exact: bool = False) -> Any:
        """Log-odds (k, n)."""
        if not exact:
            return theta[:, :-1] @ self.scaled.T + theta[:, -1:]
        return self.xp.cat([theta[:, :-1] @ block.T + theta[:, -1:] for block in self._exactly()], dim=1)

    def backward(self, residual: Any, exact: bool = False) -> Any:
        """Gradients (k, d + 1)."""
        bias = residual.sum(dim=1, keepdim=True)
        if not exact:
            return self.xp.cat([residual @ self.scaled, bias], dim=1)
        total, start = residual.new_zeros((len(residual), self.scaled.shape[1])), 0
        for block in self._exactly():
            total += residual[:, start : start + len(block)] @ block
            start += len(block)
        return self.xp.cat([total, bias], dim=1)

    def at(self, theta: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Log-odds (k, r) of some rows (r,)."""
        found = np.empty((len(theta), len(rows)))
        step = max(1, BLOCK // self.X.shape[1])
        with self.computing():
            there = self.put(theta)
            for start in range(0, len(rows), step):
                part = slice(start, start + step)
                block = self._in_float64(self.rows[self.put(rows[part])])
                found[:, part] = host(there[:, :-1] @ block.T + there[:, -1:])
        return found

    @cached_property
    def columns(self) -> tuple[NDArray[np.float64], float]:
        """As `Design.columns`."""
        matrix, torch = self.scaled, self.xp
        with true_float32():
            parts = (
                part.double().square().sum(dim=0) for part in torch.split(matrix, max(1, BLOCK // matrix.shape[1]))
            )
            variance = sum(parts) / len(matrix)
            unit = torch.where(variance > 0, variance.rsqrt(), 0)
            v, largest = torch.ones_like(variance), 1.0
            for _ in range(POWERS):
                v = unit * (matrix.T @ (matrix @ (unit * v).to(matrix.dtype))) / len(matrix)
                largest = float(v.norm()) or 1.0
                v /= largest
        return host(variance), max(1.0, largest)

    def _squares(self, directions: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        along = None if directions is None else self.put(np.ascontiguousarray(directions))
        parts = (block if along is None else block @ along for block in self._exactly())
        return host(sum(part.T @ part for part in parts)) / len(self.matrix)

    def _exactly(self) -> Iterator[Any]:
        """The matrix in float64 on the device, some rows at a time."""
        for part in self.xp.split(self.rows, max(1, BLOCK // self.X.shape[1])):
            yield self._in_float64(part)

    def _in_float64(self, rows: Any) -> Any:
        return (rows.double() - self.__dict__["_center"]) * (1 / self.scale)

    def _vectors_of(self, spectrum: Spectrum, g: Any) -> Any:
        """The eigenvectors on the device, in the dtype of g; sent once."""
        held = self.__dict__.setdefault("_held", {})
        key = id(spectrum.vectors), g.dtype
        if key not in held:
            held[key] = (
                spectrum.vectors,
                self.put(spectrum.vectors).to(g.dtype),
            )  # the array, so that its id stays its own
        return held[key][1]


def design_on(X: ArrayLike, device: str = PROCESSOR) -> Design:
    """The design of X (n, d) for fits on a device: `Design.of` for "cpu", else `DeviceDesign.of`."""
    return Design.of(X) if device == PROCESSOR else DeviceDesign.of(X, device)


def _held(X: NDArray[np.float32]) -> str:
    """What a design holds on its device, in words."""
    n, d = X.shape
    return f"{n} rows of {d} numbers, twice ({8e-9 * n * d:.2g} GB),"


def _spectrum(matrix: Any) -> Spectrum:
    """As `Spectrum.of`, its passes over the matrix (n, d) on the device."""
    import torch

    n, d = matrix.shape
    if d <= EXACT:
        return Spectrum.rounded(host(matrix.T @ matrix).astype(np.float64) / n, np.float32)
    rank = min(RANK, n, d)
    basis = torch.from_numpy(stream(0, "spectrum").standard_normal((d, rank), dtype=np.float32)).to(matrix.device)
    for _ in range(PASSES - 1):
        basis = torch.linalg.qr(matrix.T @ (matrix @ basis))[0]
    image = (matrix @ basis).double()
    values, rotation = np.linalg.eigh(host(image.T @ image / n))
    vectors = host(basis @ torch.from_numpy(rotation.astype(np.float32)).to(matrix.device))
    parts = (part.double().square().sum() for part in torch.split(matrix, max(1, BLOCK // d)))
    total, values = float(sum(parts)) / n, np.maximum(values, 0)
    return Spectrum(values, vectors, max(total - float(values.sum()), 0.0) / (d - rank))
