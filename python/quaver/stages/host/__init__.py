"""Nodes that run on the host, in NumPy and Python, between native stages.

Their results' sizes are known only when they run, they take branches by what was computed, or
they work on strings, sequences and maps, which are no tensors.
"""

from quaver.stages.host import (  # noqa: F401 -- imported for the functions they register
    control,
    convolutions,
    elements,
    maps,
    pictures,
    quantized,
    regions,
    sequences,
    sizing,
    strings,
)
from quaver.stages.host.node import host_of
from quaver.stages.host.stage import Host

__all__ = ["Host", "host_of"]
