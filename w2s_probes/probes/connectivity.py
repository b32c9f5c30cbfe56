"""Which edges join two rows of a neighbour graph; see `TopoProbe`."""

from typing import Literal

Connectivity = Literal["weak", "strong", "mutual"]
