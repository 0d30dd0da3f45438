"""Models that are no single native graph: what cannot be planned at load, or is not native.

`prepare` makes an ONNX model ready to run. Most become one native graph. The others are cut into
stages (`quaver.stages.staged`): native ones; nodes that run on the host because their results'
sizes, or the branch taken, are known only when they run; and, where a fallback is given, what
Quaver lacks, on another runtime.
"""

from quaver.stages.options import Options, options_of
from quaver.stages.prepare import in_stages, prepare

__all__ = ["Options", "in_stages", "options_of", "prepare"]
