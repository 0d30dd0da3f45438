"""Whole networks: the same bits everywhere, and ONNX Runtime's answers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import quaver
from conftest import ISAS
from zoo import cache as zoo
from zoo import photos

NETWORKS = tuple(zoo.NETWORKS)


@cache
def images(network: str) -> np.ndarray:
    return photos.centre_crops(zoo.NETWORKS[network].NORMALIZATION)


def session(model: str | bytes, *, exact: bool = False) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if exact:  # vpmaddubsw saturates in its default kernels on CPUs without VNNI
        options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def outputs(model: quaver.Model, network: str, count: int | None = None) -> np.ndarray:
    return np.concatenate([model(image[None]) for image in images(network)[:count]])


@pytest.mark.parametrize("network", NETWORKS)
def test_int8_bits_are_the_same_everywhere(network: str, tmp_path: Path) -> None:
    path = str(zoo.path(f"{network}-int8"))
    first = quaver.load(path, threads=1, isa=ISAS[-1])
    compiled = tmp_path / "model.quaver"
    first.save(compiled)
    wanted = outputs(first, network)
    assert len(np.unique(wanted)) > 50
    for source, isa, threads in itertools.product((path, compiled), ISAS, (1, 2)):
        # The scalar definition takes seconds an image.
        count = (1 if network == "resnet50" else 2) if isa == "scalar" else None
        if isa == "scalar" and (source is path) != (threads == 1):
            continue
        got = outputs(quaver.load(source, threads=threads, isa=isa), network, count)
        np.testing.assert_array_equal(got, wanted[:count], f"{source} {isa} {threads} threads")


# onnxruntime itself runs no s8 QGemm, so "-s8-qoperator" has nothing to be compared with here.
@pytest.mark.parametrize(
    "name",
    [f"{n}-int8" for n in NETWORKS] + ["mobilenet-v2-int8-qoperator", "mobilenet-v2-int8-s8"],
)
def test_int8_agrees_with_onnxruntime(name: str) -> None:
    path = str(zoo.path(name))
    network = name.partition("-int8")[0]
    theirs = session(path, exact=True)
    wanted = np.concatenate([theirs.run(None, {"input": x[None]})[0] for x in images(network)])
    got = outputs(quaver.load(path), network)
    # Logits of 8 bits tie: their best class is ours, or as good.
    best = np.take_along_axis(got, wanted.argmax(1)[:, None], 1)[:, 0]
    np.testing.assert_array_equal(best, got.max(1))
    cosine = (got * wanted).sum() / np.linalg.norm(got) / np.linalg.norm(wanted)
    assert cosine > 0.97  # a layer's steps apart grow through 50 random layers


@pytest.mark.parametrize("network", NETWORKS)
def test_float_agrees_with_onnxruntime(network: str) -> None:
    path = str(zoo.path(network))
    theirs = session(path)
    model = quaver.load(path)
    for image in images(network)[:3]:
        want = theirs.run(None, {"input": image[None]})[0]
        np.testing.assert_allclose(
            model(image[None]), want, rtol=1e-4, atol=1e-4 * np.abs(want).max()
        )


def taken(node: onnx.NodeProto) -> Iterator[str]:
    """What a node takes, in its branches and bodies too."""
    yield from node.input
    for attribute in node.attribute:
        body = attribute.g
        own = {name for inner in body.node for name in inner.output}
        own |= {port.name for port in [*body.input, *body.initializer]}
        yield from (name for inner in body.node for name in taken(inner) if name not in own)


def layers(model: onnx.ModelProto) -> Iterator[tuple[list[str], list[onnx.NodeProto], str]]:
    """Each quantized tensor with the nodes that compute it from other quantized tensors."""
    producer = {name: node for node in model.graph.node for name in node.output}
    constants = {tensor.name for tensor in model.graph.initializer}
    quantized = [n.output[0] for n in model.graph.node if n.op_type == "QuantizeLinear"]
    for tensor in quantized:
        sources, cone, pending, seen = [], [], [tensor], set()
        while pending:
            name = pending.pop()
            if name in seen or name in constants or not name:
                continue
            seen.add(name)
            if name != tensor and (name in quantized or name not in producer):
                sources.append(name)
                continue
            node = producer[name]
            cone.append(node)
            pending.extend(taken(node))
        order = {id(node): i for i, node in enumerate(model.graph.node)}
        yield sources, sorted(cone, key=lambda node: order[id(node)]), tensor


def check_layers(model: onnx.ModelProto, feeds: dict[str, np.ndarray], share: float = 0.01) -> int:
    """Compute each quantized tensor from onnxruntime's own before it; give how many there are.

    Up to a `share` of a tensor's elements may be a step away.
    """
    cones = list(layers(model))
    types = {tensor: onnx.TensorProto.UINT8 for _, _, tensor in cones}
    known = {output.name for output in model.graph.output}
    for _, _, tensor in cones:
        if tensor not in known:
            made = onnx.helper.make_tensor_value_info(tensor, types[tensor], None)
            model.graph.output.append(made)
    theirs = session(model.SerializeToString(), exact=True)
    names = [output.name for output in theirs.get_outputs()]
    values = dict(zip(names, theirs.run(None, feeds), strict=True)) | feeds
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    for sources, nodes, tensor in cones:
        used = {name for node in nodes for name in taken(node)}
        graph = onnx.helper.make_graph(
            nodes,
            "layer",
            [
                onnx.helper.make_tensor_value_info(
                    s, onnx.helper.np_dtype_to_tensor_dtype(values[s].dtype), values[s].shape
                )
                for s in sources
            ],
            [onnx.helper.make_tensor_value_info(tensor, types[tensor], values[tensor].shape)],
            [tensor for name, tensor in initializers.items() if name in used],
        )
        layer = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=10)
        got = quaver.load(layer, threads=1).run({name: values[name] for name in sources})[tensor]
        difference = np.abs(got.astype(int) - values[tensor].astype(int))
        assert difference.max() <= 1, f"{tensor}: {difference.max()} steps"
        assert (difference > 0).mean() < share, f"{tensor}: {(difference > 0).mean():.2%} differ"
    return len(cones)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_layer_is_within_one_step_of_onnxruntime(network: str) -> None:
    image = images(network)[photos.NAMES.index("chelsea")][None]
    assert check_layers(onnx.load(zoo.path(f"{network}-int8")), {"input": image}) > 40


def test_quantization_styles_agree() -> None:
    """Operators on integers or pairs around float ones, u8 or s8: one model, one answer."""
    name = "mobilenet-v2"
    wanted = outputs(quaver.load(zoo.path(f"{name}-int8-s8")), name)
    got = outputs(quaver.load(zoo.path(f"{name}-int8-s8-qoperator")), name)
    assert (got * wanted).sum() / np.linalg.norm(got) / np.linalg.norm(wanted) > 0.99


@pytest.mark.parametrize("threads", [1, 2])
def test_dynamic_batch(isa: str, threads: int) -> None:
    path = str(zoo.path("mobilenet-v2-int8", batch=None))
    model = quaver.load(path, threads=threads, isa=isa)
    assert model.inputs[0].shape == (None, 3, 224, 224)
    batch = images("mobilenet-v2")[:3]
    together = model(batch)
    for image, want in zip(batch, together, strict=True):
        np.testing.assert_array_equal(model(image[None])[0], want)


def test_a_batch_takes_the_memory_of_an_image_a_thread() -> None:
    """Where images go their own ways, and an image has more values than the model weights."""
    model = quaver.load(zoo.path("mobilenet-v2-int8", batch=None), threads=2)
    image = np.zeros((1, 3, 224, 224), np.float32)
    before = model._whole().memory
    model(image)
    one = model._whole().memory - before
    model(np.repeat(image, 16, axis=0))
    more = model._whole().memory - before - one
    assert 0 < more < 4 * one


def test_arena_is_a_fraction_of_all_tensors() -> None:
    plan = quaver.load(zoo.path("resnet50-int8"))._core.inspect()
    assert 0 < plan.arena_bytes < plan.activation_bytes / 4
