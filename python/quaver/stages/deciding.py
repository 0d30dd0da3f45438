"""Which contents a plan must know: they decide the sizes of tensors, or which branch is taken."""

from __future__ import annotations

from onnx import GraphProto, NodeProto, TensorProto

from quaver.stages.walk import nested, taken

#: Inputs by operator whose contents a native node needs before its plan is made.
DECIDING: dict[str, tuple[int, ...]] = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Compress": (1,),
    "ConstantOfShape": (0,),
    "CumProd": (1,),
    "CumSum": (1,),
    "DFT": (1, 2),
    "Dropout": (2,),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "If": (0,),
    "Loop": (0, 1),
    "MelWeightMatrix": (0, 1, 2, 3, 4),
    "NonZero": (0,),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "STFT": (1, 3),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
    **{
        f"Reduce{name}": (1,)
        for name in (
            *("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean"),
            *("Min", "Prod", "Sum", "SumSquare"),
        )
    },
}

#: Nodes that a handler may refuse while the shapes of their inputs are open, and not afterwards.
CURABLE = frozenset(
    {
        *DECIDING,
        *("Scan", "EyeLike", "OneHot", "Size", "Shape", "ArrayFeatureExtractor"),
        *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool"),  # over three axes
    }
)

KNOWN, SHAPE, CONTENT, DATA = range(4)  # from where a tensor's content is known
_RANDOM = ("RandomNormal", "RandomUniform", "Multinomial", "Bernoulli")
_SMALL = (
    *(TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL),
    *(TensorProto.INT8, TensorProto.UINT8),
)


def deciding(node: NodeProto) -> list[str]:
    """Return the inputs of a node whose contents a plan must know."""
    indices = DECIDING.get(node.op_type, ()) if node.domain in ("", "ai.onnx") else ()
    return [node.input[i] for i in indices if i < len(node.input) and node.input[i]]


def levels(graph: GraphProto) -> dict[str, int]:
    """How the content of each tensor is known.

    Returns
    -------
    dict
        KNOWN for constants, SHAPE for what follows from shapes, CONTENT for what follows from
        small inputs of integers or one real, which a plan may be made for, DATA for the rest.
    """
    known = {tensor.name: KNOWN for tensor in graph.initializer}
    for info in graph.input:
        kind = info.type.tensor_type
        rank = len(kind.shape.dim) if kind.HasField("shape") else None
        small = (kind.elem_type in _SMALL and rank in (0, 1)) or (
            kind.elem_type == TensorProto.FLOAT and rank == 0
        )
        known.setdefault(info.name, CONTENT if small else DATA)
    for node in graph.node:
        if node.op_type in ("Shape", "Size"):
            level = SHAPE
        elif node.op_type.startswith(_RANDOM):
            level = DATA
        else:
            level = max((known.get(name, DATA) for name in taken(node)), default=KNOWN)
        for name in node.output:
            known[name] = level
    return known


def bound_inputs(graph: GraphProto) -> list[str]:
    """Return the inputs of a graph whose contents its plan must know, in their order."""
    makers = {name: node for node in nested(graph) for name in node.output if name}
    initialized = {tensor.name for tensor in graph.initializer}
    left = [name for node in nested(graph) for name in deciding(node)]
    seen: set[str] = set()
    while left:
        name = left.pop()
        if name in seen or name in initialized:
            continue
        seen.add(name)
        maker = makers.get(name)
        if maker is not None and maker.op_type not in ("Shape", "Size"):
            left += taken(maker)
    return [info.name for info in graph.input if info.name in seen and info.name not in initialized]
