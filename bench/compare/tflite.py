"""Write a quantized ONNX classifier as a TensorFlow Lite file, without TensorFlow.

What ONNX Runtime's quantizer leaves of the zoo's classifiers is a handful of operators, each
between int8 tensors, and LiteRT's package brings the classes of its file format. So the operators
are written out one by one: the same weights, scales and zero points, channels last.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from onnx import numpy_helper

Array = NDArray[Any]

_SAME, _VALID = schema.Padding.SAME, schema.Padding.VALID


def write(model: onnx.ModelProto, path: Path) -> None:
    """Write the model.

    Parameters
    ----------
    model
        With int8 activations and weights between QuantizeLinear and DequantizeLinear, of
        convolutions, sums, pools and one product; one input [N, C, H, W], which the file takes as
        [N, H, W, C].
    path
        Of the file.

    Raises
    ------
    KeyError
        If the model has another operator.
    """
    Path(path).write_bytes(_Writer(model).run())


class _Writer:
    """The file while it is written, node by node."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self._producer = {name: node for node in model.graph.node for name in node.output}
        shapes = onnx.shape_inference.infer_shapes(model).graph
        self._shapes = {
            value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in [*shapes.value_info, *shapes.input, *shapes.output]
        }
        self._file = schema.ModelT()
        self._file.version = 3
        self._file.buffers = [schema.BufferT()]
        self._file.operatorCodes = []
        self._codes: dict[int, int] = {}
        self._net = schema.SubGraphT()
        self._net.tensors, self._net.operators = [], []
        self._index: dict[str, int] = {}  # of what a QuantizeLinear gives
        self._file.subgraphs = [self._net]

    def run(self) -> bytes:
        image = self._graph.input[0].name
        self._index[image] = self._tensor(image, self._shape(image), np.float32)
        self._net.inputs = [self._index[image]]
        for node in self._graph.node:
            if node.op_type == "QuantizeLinear":
                self._quantized(node)
        logits = self._graph.output[0].name
        self._dequantized(logits)
        self._net.outputs = [self._index[logits]]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self._file.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _quantized(self, node: onnx.NodeProto) -> None:
        """Write what ends in this QuantizeLinear."""
        source = self._producer.get(node.input[0])
        name, scale, zero = node.output[0], *(self._constants[i] for i in node.input[1:3])
        if source is not None and source.op_type in ("Flatten", "DequantizeLinear"):
            # Without an operator between the two, and the pool has dropped the spatial dimensions.
            self._index[name] = self._index[self._source_of(source.input[0])]
            return
        self._index[name] = self._tensor(
            name, self._shape(node.input[0]), np.int8, scale=scale, zero=zero
        )
        if source is None:
            self._operator("QUANTIZE", [self._index[node.input[0]]], name)
            return
        _HANDLERS[source.op_type](self, source, name)

    def _dequantized(self, logits: str) -> None:
        node = self._producer[logits]
        self._index[logits] = self._tensor(logits, self._shape(logits), np.float32)
        self._operator("DEQUANTIZE", [self._index[node.input[0]]], logits)

    def _source_of(self, name: str) -> str:
        """The QuantizeLinear's output behind a DequantizeLinear's."""
        node = self._producer[name]
        return (
            node.input[0] if node.op_type == "DequantizeLinear" else self._source_of(node.input[0])
        )

    def _shape(self, name: str) -> list[int]:
        shape = self._shapes[name]
        if len(shape) != 4:
            return shape
        n, c, h, w = shape
        return [n, c] if (h, w) == (1, 1) else [n, h, w, c]

    def _tensor(
        self,
        name: str,
        shape: list[int],
        dtype: Any,
        *,
        scale: Array | None = None,
        zero: Array | None = None,
        data: Array | None = None,
    ) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name.encode(), list(map(int, shape))
        types = {np.float32: "FLOAT32", np.int8: "INT8", np.int32: "INT32"}
        tensor.type = getattr(schema.TensorType, types[dtype])
        if scale is not None:
            tensor.quantization = quantization = schema.QuantizationParametersT()
            quantization.scale = np.atleast_1d(scale).astype(np.float32)
            zeros = np.zeros(1) if zero is None else np.atleast_1d(zero)
            quantization.zeroPoint = np.broadcast_to(zeros, quantization.scale.shape).astype(
                np.int64
            )
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            tensor.buffer = len(self._file.buffers)
            self._file.buffers.append(buffer)
        self._net.tensors.append(tensor)
        return len(self._net.tensors) - 1

    def _constant(self, name: str, data: Array, scale: Array | None = None) -> int:
        return self._tensor(name, list(data.shape), data.dtype.type, scale=scale, data=data)

    def _operator(
        self, code: str, inputs: list[int], output: str | int, options: Any = None
    ) -> None:
        number = getattr(schema.BuiltinOperator, code)
        if number not in self._codes:
            row = schema.OperatorCodeT()
            row.builtinCode, row.deprecatedBuiltinCode = number, min(number, 127)
            row.version = 3 if "CONV" in code else 4 if code == "FULLY_CONNECTED" else 2
            self._codes[number] = len(self._file.operatorCodes)
            self._file.operatorCodes.append(row)
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes[number]
        operator.inputs = inputs
        operator.outputs = [output if isinstance(output, int) else self._index[output]]
        if options is not None:
            operator.builtinOptionsType = getattr(
                schema.BuiltinOptions, type(options).__name__.removesuffix("T")
            )
            operator.builtinOptions = options
        self._net.operators.append(operator)

    def _weights(self, node: onnx.NodeProto) -> tuple[Array, Array, Array]:
        """Weights, their scales and the bias of a convolution or product."""
        weight, bias = (self._producer[name] for name in node.input[1:3])
        values, scale = (self._constants[name] for name in weight.input[:2])
        return values, scale, self._constants[bias.input[0]]

    def _padded(self, x: int, pads: list[int], value: int, name: str) -> int:
        """Pad the spatial dimensions by an operator of its own."""
        top, left, bottom, right = pads
        source = self._net.tensors[x]
        n, h, w, c = source.shape
        amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        index = self._tensor(f"{name}/pad", [n, h + top + bottom, w + left + right, c], np.int8)
        self._net.tensors[index].quantization = source.quantization
        fill = self._tensor(f"{name}/fill", [1], np.int8, data=np.array([value], np.int8))
        self._net.tensors[fill].quantization = source.quantization
        self._operator(
            "PADV2",
            [x, self._constant(f"{name}/pads", amounts), fill],
            index,
            schema.PadV2OptionsT(),
        )
        return index

    def _windowed(
        self, node: onnx.NodeProto, kernel: list[int], fill: int, name: str
    ) -> tuple[int, int, list[int]]:
        """The input of a sliding window, padded if need be; how the rest is padded; strides."""
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        x = self._index[self._source_of(node.input[0])]
        strides = list(attributes.get("strides", [1, 1]))
        pads = list(attributes.get("pads", [0] * 4))
        if pads == [0] * 4:
            return x, _VALID, strides
        if pads == _same_pads(self._net.tensors[x].shape[1:3], kernel, strides):
            return x, _SAME, strides
        return self._padded(x, pads, fill, name), _VALID, strides

    def _conv(self, node: onnx.NodeProto, name: str) -> None:
        values, scale, bias = self._weights(node)
        group = next((a.i for a in node.attribute if a.name == "group"), 1)
        zero = int(self._zero(self._source_of(node.input[0])))
        x, padding, strides = self._windowed(node, list(values.shape[2:]), zero, name)
        depthwise = group > 1
        filters = values.transpose(1, 2, 3, 0) if depthwise else values.transpose(0, 2, 3, 1)
        weight = self._constant(f"{name}/w", filters, scale)
        self._net.tensors[weight].quantization.quantizedDimension = 3 if depthwise else 0
        options: Any = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        if depthwise:
            options.depthMultiplier = 1
        options.padding, (options.strideH, options.strideW) = padding, strides
        options.dilationHFactor = options.dilationWFactor = 1
        code = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        self._operator(code, [x, weight, self._bias(name, bias, x, scale)], name, options)

    def _zero(self, name: str) -> Array:
        return self._net.tensors[self._index[name]].quantization.zeroPoint[0]

    def _bias(self, name: str, bias: Array, x: int, scale: Array) -> int:
        step = self._net.tensors[x].quantization.scale[0] * np.atleast_1d(scale)
        return self._constant(f"{name}/b", bias.astype(np.int32), step)

    def _gemm(self, node: onnx.NodeProto, name: str) -> None:
        values, scale, bias = self._weights(node)
        x = self._index[self._source_of(node.input[0])]
        weight = self._constant(f"{name}/w", values, scale)
        options = schema.FullyConnectedOptionsT()
        self._operator(
            "FULLY_CONNECTED", [x, weight, self._bias(name, bias, x, scale)], name, options
        )

    def _add(self, node: onnx.NodeProto, name: str) -> None:
        inputs = [self._index[self._source_of(i)] for i in node.input]
        self._operator("ADD", inputs, name, schema.AddOptionsT())

    def _max_pool(self, node: onnx.NodeProto, name: str) -> None:
        kernel = list(next(a.ints for a in node.attribute if a.name == "kernel_shape"))
        x, padding, strides = self._windowed(node, kernel, -128, name)
        options = schema.Pool2DOptionsT()
        options.padding, (options.strideH, options.strideW) = padding, strides
        options.filterHeight, options.filterWidth = kernel
        # A pool's output has its input's scale.
        self._net.tensors[self._index[name]].quantization = self._net.tensors[x].quantization
        self._operator("MAX_POOL_2D", [x], name, options)

    def _mean(self, node: onnx.NodeProto, name: str) -> None:
        axes = self._constant(f"{name}/axes", np.array([1, 2], np.int32))
        options = schema.ReducerOptionsT()
        self._operator("MEAN", [self._index[self._source_of(node.input[0])], axes], name, options)


def _same_pads(size: list[int], kernel: list[int], strides: list[int]) -> list[int]:
    """What SAME stands for, in ONNX's order."""
    total = [
        max((-(-s // step) - 1) * step + k - s, 0)
        for s, k, step in zip(size, kernel, strides, strict=True)
    ]
    before = [t // 2 for t in total]
    return [*before, *(t - b for t, b in zip(total, before, strict=True))]


_HANDLERS: dict[str, Callable[[_Writer, onnx.NodeProto, str], None]] = {
    "Conv": _Writer._conv,
    "Gemm": _Writer._gemm,
    "Add": _Writer._add,
    "MaxPool": _Writer._max_pool,
    "GlobalAveragePool": _Writer._mean,
}
