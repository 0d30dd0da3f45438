"""Operators that run on the host, each as a model of its own, against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import quaver
from recorder import peer
from test_operators import ints, normal

ML = "ai.onnx.ml"
WORDS = np.array([["Monday", "a"], ["tuesday", "The"]], object)
ROIS = np.array([[1, 1, 6, 5], [0, 2, 3.5, 7], [2, 0, 7.5, 7.9]], np.float32)
POOLED = {"kernel_shape": [2, 2], "strides": [2, 2]}
GRAMS = {
    "mode": "TF",
    "min_gram_length": 1,
    "max_gram_length": 2,
    "max_skip_count": 1,
    "ngram_counts": [0, 4],
    "ngram_indexes": [0, 1, 2, 3, 4, 5, 6],
    "pool_int64s": [2, 3, 5, 4, 5, 6, 7, 8, 6, 7],
}

#: Two rows of three pixels.
BITMAP = np.frombuffer(b"P6 3 2 255\n" + bytes(range(0, 234, 13)), np.uint8)

#: Operator, inputs (constants are those whose name is upper case), attributes, outputs.
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], int]] = {
    "unique": ("Unique", {"x": np.array([2.0, 1, 1, 3, 4, 3], np.float32)}, {}, 4),
    "unique in order": ("Unique", {"x": ints(2, 1, 1, 3, 4, 3)}, {"sorted": 0}, 4),
    "unique rows": ("Unique", {"x": ints(1, 0, 1, 0, 2, 3).reshape(3, 2)}, {"axis": 0}, 4),
    "unique of com.microsoft": (
        "com.microsoft.Unique",
        {"x": np.array([2.0, 1, 1, 3, 4, 3], np.float32)},
        {},
        3,
    ),
    "inverse": (
        "com.microsoft.Inverse",
        {"x": np.eye(5, dtype=np.float32) + 0.1 * normal(2, 3, 5, 5)},
        {},
        1,
    ),
    "picture": ("ImageDecoder", {"x": BITMAP}, {"pixel_format": "BGR"}, 1),
    "gray picture": ("ImageDecoder", {"x": BITMAP}, {"pixel_format": "Grayscale"}, 1),
    "cropped": (
        "com.microsoft.CropAndResize",
        {
            "x": normal(2, 3, 8, 7),
            "r": np.array([[0.1, 0, 0.9, 1.2], [0.3, 0.7, 0.6, 0.2]], np.float32),
            "b": np.array([1, 0], np.int32),
            "S": np.array([4, 5], np.int32),
        },
        {"extrapolation_value": 0.5},
        1,
    ),
    "cropped to the nearest, of one row": (
        "com.microsoft.CropAndResize",
        {
            "x": normal(1, 2, 8, 7),
            "r": np.array([[0.1, 0.05, 0.9, 0.8]], np.float32),
            "b": np.array([0], np.int32),
            "S": np.array([1, 3], np.int32),
        },
        {"mode": "nearest"},
        1,
    ),
    "compress": (
        "Compress",
        {"x": normal(3, 4), "c": np.array([True, False, True])},
        {"axis": 0},
        1,
    ),
    "compress flat": ("Compress", {"x": normal(3, 4), "c": np.array([False, True, True])}, {}, 1),
    "reversed": (
        "ReverseSequence",
        {"x": normal(4, 3, 2), "n": ints(1, 4, 2)},
        {"time_axis": 0, "batch_axis": 1},
        1,
    ),
    "reversed batch first": (
        "ReverseSequence",
        {"x": normal(3, 4), "n": ints(1, 4, 2)},
        {"time_axis": 1, "batch_axis": 0},
        1,
    ),
    "maxima of regions": (
        "MaxRoiPool",
        {"x": normal(2, 3, 8, 8), "r": np.insert(ROIS, 0, [0, 1, 1], axis=1)},
        {"pooled_shape": [3, 2], "spatial_scale": 0.5},
        1,
    ),
    "determinant": ("Det", {"x": normal(2, 3, 3)}, {}, 1),
    "unpooled": (
        "MaxUnpool",
        {"x": normal(1, 1, 2, 2), "i": ints(5, 7, 13, 15).reshape(1, 1, 2, 2)},
        POOLED,
        1,
    ),
    "columns": (
        "Col2Im",
        {"x": normal(2, 12, 25), "S": ints(6, 7), "B": ints(2, 3)},
        {},
        1,
    ),
    "columns dilated": (
        "Col2Im",
        {"x": normal(1, 8, 16), "S": ints(6, 5), "B": ints(2, 2)},
        {"dilations": [1, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]},
        1,
    ),
    "regions": (
        "RoiAlign",
        {"x": normal(2, 3, 8, 8), "r": ROIS, "b": ints(0, 1, 1)},
        {"output_height": 3, "output_width": 2, "sampling_ratio": 2},
        1,
    ),
    "regions unaligned": (
        "RoiAlign",
        {"x": normal(2, 3, 8, 8), "r": ROIS * 2, "b": ints(0, 1, 1)},
        {
            "output_height": 2,
            "output_width": 2,
            "spatial_scale": 0.5,
            "coordinate_transformation_mode": "output_half_pixel",
        },
        1,
    ),
    "normalized strings": (
        "StringNormalizer",
        {"x": np.array(["Monday", "tuesday", "The"], object)},
        {"case_change_action": "UPPER", "stopwords": ["the"], "is_case_sensitive": 0},
        1,
    ),
    "grams": ("TfIdfVectorizer", {"x": ints(1, 1, 3, 3, 3, 7, 8, 6, 7).astype(np.int32)}, GRAMS, 1),
    "joined strings": ("StringConcat", {"x": WORDS, "y": np.array(["!"], object)}, {}, 1),
    "labels": (
        "LabelEncoder",
        {"x": WORDS},
        {"keys_strings": ["a", "Monday"], "values_int64s": [7, 5], "default_int64": -3},
        1,
    ),
    "names": (
        "LabelEncoder",
        {"x": ints(3, 1, 9)},
        {"keys_int64s": [1, 3], "values_strings": ["one", "three"]},
        1,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one(case: str) -> None:
    op, inputs, attrs, count = CASES[case]
    domain = ML if op == "LabelEncoder" else op.rpartition(".")[0]
    op = op.rpartition(".")[2]
    outputs = [f"y{i}" for i in range(count)]
    graph = helper.make_graph(
        [helper.make_node(op, list(inputs), outputs, "n", domain=domain, **attrs)],
        "net",
        [
            helper.make_tensor_value_info(
                n, helper.np_dtype_to_tensor_dtype(a.dtype), [None] * a.ndim
            )
            for n, a in inputs.items()
            if n.islower()
        ],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(a, n) for n, a in inputs.items() if n.isupper()],
    )
    versions = {"": 21, ML: 3, "com.microsoft": 1}
    imports = [helper.make_opsetid(name, version) for name, version in versions.items()]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    feeds = {n: a for n, a in inputs.items() if n.islower()}
    try:
        wanted = peer(model, feeds)
    except Exception:  # ONNX Runtime has no kernel for it
        wanted = ReferenceEvaluator(model).run(None, feeds)
    got = list(quaver.load(model, fallback=None).run(feeds).values())
    for array, want in zip(got, wanted, strict=True):
        if want.dtype == object or want.dtype.kind == "U":
            assert array.tolist() == want.tolist()
        else:
            assert array.dtype == want.dtype
            np.testing.assert_allclose(array, want, rtol=1e-4, atol=1e-5)


def test_sequences() -> None:
    """Parts of a tensor, one dropped, one put in, joined again between native nodes."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("SplitToSequence", ["r"], ["parts"], axis=0),
        helper.make_node("SequenceErase", ["parts", "one"], ["fewer"]),
        helper.make_node("SequenceInsert", ["fewer", "row"], ["more"]),
        helper.make_node("SequenceLength", ["more"], ["n"]),
        helper.make_node("SequenceAt", ["more", "one"], ["second"]),
        helper.make_node("ConcatFromSequence", ["more"], ["joined"], axis=0),
        helper.make_node("Mul", ["joined", "joined"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3])],
        [onnx.ValueInfoProto(name=name) for name in ("y", "n", "second")],
        [
            numpy_helper.from_array(ints(1).reshape(()), "one"),
            numpy_helper.from_array(normal(1, 3), "row"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    loaded = quaver.load(model, fallback=None)
    for rows in (4, 2):
        feeds = {"x": normal(rows, 3)}
        for got, want in zip(loaded.run(feeds).values(), peer(model, feeds), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-6)
    with pytest.raises(quaver.InputError, match="SplitToSequence"):
        loaded(np.empty((0, 3), np.float32))


def test_classes_are_drawn_as_often_as_they_are_likely() -> None:
    likely = np.array([[0.1, 0.0, 0.6, 0.3], [0.5, 0.5, 0.0, 0.0]])
    node = helper.make_node("Multinomial", ["x"], ["y"], sample_size=20000, seed=3.0)
    ports = [
        helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 4]),
        helper.make_tensor_value_info("y", onnx.TensorProto.INT32, None),
    ]
    graph = helper.make_graph([node], "net", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    with np.errstate(divide="ignore"):
        drawn = quaver.load(model, fallback=None)(np.log(likely).astype(np.float32) + 2)
    counts = np.stack([np.bincount(row, minlength=4) for row in drawn]) / 20000
    assert np.abs(counts - likely).max() < 0.02
    assert not counts[likely == 0].any()


@pytest.mark.parametrize("form", ["DENSE", "SPARSE"])
@pytest.mark.parametrize("to", ["TO_FLOAT", "TO_INT64", "TO_STRING"])
def test_maps_as_rows(to: str, form: str) -> None:
    attrs = {"cast_to": to, "map_form": form, "max_map": 9}
    node = helper.make_node("CastMap", ["x"], ["y"], "row", domain=ML, **attrs)
    number = helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, None)
    kind = helper.make_map_type_proto(onnx.TensorProto.INT64, number)
    graph = helper.make_graph(
        *([node], "net", [onnx.ValueInfoProto(name="x", type=kind)]),
        [onnx.ValueInfoProto(name="y")],
    )
    imports = [helper.make_opsetid("", 21), helper.make_opsetid(ML, 3)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    feeds = {"x": {7: 1.5, 0: 2.25, 3: -1e6}}
    loaded = quaver.load(model, fallback=None)
    np.testing.assert_array_equal(loaded.run(feeds)["y"], peer(model, feeds)[0])
    if form == "SPARSE":
        with pytest.raises(quaver.InputError, match="its keys are 1 to 9, its columns 9"):
            loaded.run({"x": {1: 1.0, 9: 2.0}})


def test_bad_pictures_and_matrices() -> None:
    picture = helper.make_node("ImageDecoder", ["x"], ["y"], "picture")
    matrix = helper.make_node("Inverse", ["x"], ["y"], "inverse", domain="com.microsoft")
    bad = {
        "no picture": (picture, np.arange(9, dtype=np.uint8)),
        "Singular matrix": (matrix, np.zeros((2, 2), np.float32)),
    }
    for message, (node, x) in bad.items():
        kind = helper.np_dtype_to_tensor_dtype(x.dtype)
        graph = helper.make_graph(
            *([node], "net", [helper.make_tensor_value_info("x", kind, x.shape)]),
            [onnx.ValueInfoProto(name="y")],
        )
        imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=10)
        with pytest.raises(quaver.InputError, match=message):
            quaver.load(model, fallback=None)(x)
