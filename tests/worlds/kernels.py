"""One kernel for notebooks, with the interpreter of this process, whatever kernels are installed on the machine."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from tests.conftest import ROOT

PATIENCE = 240  # seconds for a cell: they take a few on a machine that does nothing else


class ThisInterpreter(KernelManager):
    """Starts kernels with the interpreter of this process."""

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="tests", language="python")


@contextmanager
def started(scratch: Path, cwd: Path) -> Iterator[tuple[Any, Any]]:
    """A manager and a client of a kernel that stands in `cwd` and leaves its files in `scratch`."""
    sockets = Path(tempfile.mkdtemp(prefix="w2s-"))  # a short path: longer ones are no socket's
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("W2S_NOTEBOOKS", str(scratch / "notebooks"))
        patch.setenv("IPYTHONDIR", str(scratch / "ipython"))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        patch.setenv("PYTHONPATH", str(ROOT))
        manager = ThisInterpreter(transport="ipc", ip=str(sockets / "kernel"))
        manager.start_kernel(cwd=str(cwd))
        client = manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=PATIENCE)
            yield manager, client
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            shutil.rmtree(sockets)


def execute(notebook: Any, manager: Any, client: Any) -> Any:
    """The notebook, with the outputs of its cells."""
    runner = NotebookClient(notebook, km=manager, timeout=PATIENCE)
    runner.kc = client
    for index, cell in enumerate(notebook.cells):
        runner.execute_cell(cell, index)
    return notebook
