"""The networks that are compared, and what they are given."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo import bert, photos
from zoo import cache as zoo

Feed = dict[str, NDArray[Any]]

_CALIBRATION = 16


class Network(NamedTuple):
    """A network as it is compared."""

    title: str
    model: str
    """In the zoo, or among the fetched files."""
    sample: Callable[[int], Feed]
    """Inputs for a batch of so many."""
    transformer: bool = False

    def calibration(self, batch: int) -> list[Feed]:
        """Runs that quantizers see."""
        if self.model in bert.NETWORKS:
            return list(bert.NETWORKS[self.model].calibration(batch))
        drawn = self.sample(_CALIBRATION * batch)
        axes = {name: _batch_axis(name) for name in drawn}
        return [
            {
                name: array if axes[name] is None else np.split(array, _CALIBRATION, axes[name])[i]
                for name, array in drawn.items()
            }
            for i in range(_CALIBRATION)
        ]


def _batch_axis(name: str) -> int | None:
    """Where an input has its batch; a rate has none, the state of a recurrence its layers first."""
    return {"sr": None, "state": 1}.get(name, 0)


def _pictures(name: str, batch: int) -> Feed:
    """Photographs, float32 [batch, 3, height, width]."""
    network = zoo.ALL[name]
    size = getattr(network, "SIZE", (224, 224))
    return {_only_input(name): photos.random_crops(batch, network.NORMALIZATION, seed=7, size=size)}


def _page(name: str, batch: int) -> Feed:
    """A scanned page, moved a little for each picture."""
    network: Any = zoo.ALL[name]
    page = photos.load("page")
    height, width = network.SIZE
    side = min(page.height * width / height, page.width)
    moves = np.linspace(0, page.width - side, batch)
    pictures = [
        page.resize((width, height), box=(left, 0, left + side, side * height / width))
        for left in moves
    ]
    return {_only_input(name): np.stack([network.NORMALIZATION(picture) for picture in pictures])}


def _only_input(name: str) -> str:
    import onnx  # noqa: PLC0415

    (port,) = onnx.load(zoo.path(name), load_external_data=False).graph.input
    return str(port.name)


def _sentences(tokens: int, batch: int) -> Feed:
    """Random words, all of which count."""
    words = np.random.default_rng(0).integers(1000, 20000, (batch, tokens))
    return dict(zip(bert.INPUTS, (words, np.ones_like(words), np.zeros_like(words)), strict=True))


def _bytes(batch: int) -> Feed:
    return {"bytes": np.random.default_rng(0).integers(0, 257, (batch, 2048)).astype(np.int32)}


def _voice(batch: int) -> Feed:
    """One step of 32 ms, after 4 ms of context."""
    random = np.random.default_rng(0)
    return {
        "input": (0.1 * random.standard_normal((batch, 576))).astype(np.float32),
        "state": np.zeros((2, batch, 128), np.float32),
        "sr": np.array(16000),
    }


def _encoder(model: str, title: str, tokens: int) -> Network:
    return Network(f"{title}, {tokens} tokens", model, partial(_sentences, tokens), True)


#: By what they are asked for.
NETWORKS = {
    **{
        name: Network(title, name, partial(_pictures, name))
        for name, title in {
            "resnet50": "ResNet-50 224",
            "mobilenet-v2": "MobileNetV2 224",
            "efficientnet-lite0": "EfficientNet-Lite0 224",
            "yolov8n": "YOLOv8n 320",
        }.items()
    },
    "ppocr-det": Network("PP-OCRv5 detection 640", "ppocr-det", partial(_page, "ppocr-det")),
    "ppocr-rec": Network("PP-OCRv5 recognition 48×320", "ppocr-rec", partial(_page, "ppocr-rec")),
    "minilm-l6-128": _encoder("minilm-l6", "MiniLM-L6", 128),
    "minilm-l6-16": _encoder("minilm-l6", "MiniLM-L6", 16),
    "bert-base-128": _encoder("bert-base", "BERT-base", 128),
    "vit-tiny": Network("ViT-Tiny 224", "vit-tiny", partial(_pictures, "vit-tiny"), True),
    "magika": Network("magika", "magika", _bytes),
    "silero": Network("silero-vad", "silero-16k", _voice),
}
