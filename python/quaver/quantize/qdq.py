"""Write a placement down as standard ONNX: QuantizeLinear and DequantizeLinear pairs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper

from quaver.quantize import weights
from quaver.quantize.net import Array, Net
from quaver.quantize.operators import data_inputs, weight_of
from quaver.quantize.placement import Placement
from quaver.quantize.ranges import Affine, affine
from quaver.quantize.weights import Weight

OPSET = 13  # the first with scales per channel


def write(
    net: Net,
    placement: Placement,
    affines: Mapping[str, Affine],
    quantized: Mapping[str, Weight],
    biases: Mapping[str, Array],
) -> onnx.ModelProto:
    """Insert the pairs.

    Parameters
    ----------
    net
        The float model.
    placement
        What is quantized.
    affines
        Scale and zero point of each tensor in `placement.tensors`.
    quantized, biases
        Weight in int8 and bias in float of each weighted node in int8, by the node's name; also
        biases in float of others, and constants of Adds that take their place.
    """
    return _Writer(net, placement, affines, quantized, biases).write()


class _Writer:
    def __init__(
        self,
        net: Net,
        placement: Placement,
        affines: Mapping[str, Affine],
        quantized: Mapping[str, Weight],
        biases: Mapping[str, Array],
    ) -> None:
        self._net, self._placement, self._affines = net, placement, affines
        self._quantized, self._biases = quantized, biases
        self._stored = set(placement.tensors)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, Array] = dict(net.weights)
        self._read: dict[str, str] = {}  # tensor to what its users in int8 read

    def write(self) -> onnx.ModelProto:
        for name in self._placement.tensors:
            if name in self._net.inputs:
                self._store(name, name)
        for node in self._net.nodes:
            self._add(node)
        return self._net.proto(self._nodes, self._constants, OPSET)

    def _add(self, node: onnx.NodeProto) -> None:
        int8 = node.name in self._placement.nodes
        new = onnx.NodeProto()
        new.CopyFrom(node)
        data = set(data_inputs(node)) if int8 else set()
        for i, name in enumerate(node.input):
            if name in data and name in self._net.weights and name in self._stored:
                new.input[i] = self._constant(name)
            elif name in self._read and (int8 or self._from_int8(name)):
                new.input[i] = self._read[name]
        if node.name in self._quantized:
            self._add_weight(new, node)
        elif node.name in self._biases:
            self._add_bias(new, node)
        outputs = [name for name in node.output if name in self._stored]
        for i, name in enumerate(node.output):
            if name in outputs and name in self._net.outputs:
                new.output[i] = f"{name}/float"
        if node.name in self._placement.doubled and node.input[0] in self._stored:
            self._double(new, node.input[0])
        else:
            self._nodes.append(new)
        for i, name in enumerate(node.output):
            if name in outputs:
                self._store(name, new.output[i])

    def _double(self, product: onnx.NodeProto, read: str) -> None:
        """Add what a product makes of what the rounding of its input leaves."""
        name, made = product.name, product.output[0]
        scale = self._affines[read].scale / 2
        rest, half = f"{name}/rest", affine(-scale, scale)
        coarse, fine = onnx.NodeProto(), onnx.NodeProto()
        coarse.CopyFrom(product)
        fine.CopyFrom(product)
        coarse.output[0] = f"{name}/coarse"
        exact = f"{read}/float" if read in self._net.outputs else read
        self._nodes += [
            coarse,
            helper.make_node("Sub", [exact, self._read[read]], [rest], rest),
        ]
        self._convert(rest, rest, self._numbers(rest, half))
        del fine.input[2:]
        fine.input[0], fine.output[0] = f"{rest}/dequantized", f"{name}/fine"
        fine.name = f"{name}/fine"
        self._nodes += [
            fine,
            helper.make_node("Add", [coarse.output[0], fine.output[0]], [made], f"{name}/both"),
        ]

    def _from_int8(self, name: str) -> bool:
        maker = self._net.producer.get(name)
        return maker is not None and maker.name in self._placement.nodes

    def _store(self, name: str, made: str) -> None:
        """QuantizeLinear and DequantizeLinear after what makes a tensor."""
        self._read[name] = name if made != name else f"{name}/dequantized"
        self._convert(name, made, self._parameters(name))

    def _convert(self, name: str, made: str, parameters: list[str]) -> None:
        self._nodes += [
            helper.make_node(
                "QuantizeLinear", [made, *parameters], [f"{name}/quantized"], f"{name}/quantize"
            ),
            helper.make_node(
                "DequantizeLinear",
                [f"{name}/quantized", *parameters],
                [name if made != name else f"{name}/dequantized"],
                f"{name}/dequantize",
            ),
        ]

    def _parameters(self, name: str) -> list[str]:
        """The constants of a tensor's group."""
        return self._numbers(self._placement.group[name], self._affines[name])

    def _numbers(self, name: str, numbers: Affine) -> list[str]:
        names = [f"{name}/quantized/scale", f"{name}/quantized/zero"]
        self._constants[names[0]] = np.array(numbers.scale, np.float32)
        self._constants[names[1]] = np.array(numbers.zero, np.uint8)
        return names

    def _constant(self, name: str) -> str:
        """A constant operand: its bytes are stored."""
        if name not in self._read:
            scale, zero = self._affines[name]
            steps = np.rint(self._net.weights[name] / np.float64(scale)) + zero
            self._constants[f"{name}/quantized"] = np.clip(steps, 0, 255).astype(np.uint8)
            self._read[name] = f"{name}/dequantized"
            self._nodes.append(
                helper.make_node(
                    "DequantizeLinear",
                    [f"{name}/quantized", *self._parameters(name)],
                    [self._read[name]],
                    f"{name}/dequantize",
                )
            )
        return self._read[name]

    def _add_weight(self, new: onnx.NodeProto, node: onnx.NodeProto) -> None:
        weight = self._quantized[node.name]
        name = weight_of(self._net, node)
        zero = np.zeros(weight.scale.shape, np.int8)
        # A weight may serve several nodes; each has bytes of its own, as scales may differ.
        new.input[1] = self._stored_constant(
            f"{node.name}/{name}", weight.bytes, weight.scale, zero, weight.axis
        )
        if node.name in self._biases:
            x_scale = self._affines[node.input[0]].scale
            bias, scale = weights.quantize_bias(self._biases[node.name], x_scale, weight.scale)
            axis = 0 if scale.ndim else None
            del new.input[2:]
            new.input.append(
                self._stored_constant(
                    f"{node.name}/bias", bias, scale, np.zeros(scale.shape, np.int32), axis
                )
            )

    def _add_bias(self, new: onnx.NodeProto, node: onnx.NodeProto) -> None:
        """Give a node in float another bias, an Add another constant."""
        name, bias = f"{node.name}/corrected", self._biases[node.name].astype(np.float32)
        if node.op_type == "Add":
            at = next(i for i, operand in enumerate(node.input) if operand in self._net.weights)
            new.input[at] = name
            bias = bias.reshape(self._net.weights[node.input[at]].shape)
        else:
            del new.input[2:]
            new.input.append(name)
        self._constants[name] = bias

    def _stored_constant(
        self, name: str, array: Array, scale: Array, zero: Array, axis: int | None
    ) -> str:
        stored = f"{name}/quantized"
        inputs = [stored, f"{stored}/scale", f"{stored}/zero"]
        for part, value in zip(inputs, (array, scale, zero), strict=True):
            self._constants[part] = np.asarray(value)
        self._nodes.append(
            helper.make_node(
                "DequantizeLinear",
                inputs,
                [f"{name}/dequantized"],
                f"{name}/dequantize",
                axis=axis,  # make_node leaves None out
            )
        )
        return f"{name}/dequantized"
