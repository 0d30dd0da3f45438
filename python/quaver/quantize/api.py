"""`quaver.quantize`: the whole way from a float model to an int8 one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from quaver.errors import InputError
from quaver.quantize.data import Data
from quaver.quantize.pictures import Pictures
from quaver.quantize.result import Result

if TYPE_CHECKING:
    from quaver.quantize.metrics import Labels, Metric
    from quaver.quantize.prepare import Source

METHODS = ("auto", "minmax", "percentile", "mse", "entropy")


def quantize(
    model: Source,
    data: Data,
    *,
    method: str = "auto",
    smooth: bool = True,
    equalize: bool = True,
    correct_bias: bool = True,
    search_weights: bool = True,
    mixed: bool = True,
    gptq: bool = True,
    keep_float: Collection[str] = (),
    engine: str = "quaver",
    measure: bool = True,
    metric: Metric | None = None,
    labels: Labels | None = None,
    max_drop: float | None = None,
    never_slower: bool = False,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
    size: tuple[int, int] | None = None,
    seed: int = 0,
) -> Result:
    """Quantize a float model to int8.

    Activations become u8 with one scale and zero point a tensor, weights s8 with one scale an
    output channel. The data is read once, in order, and memory does not grow with it.

    Parameters
    ----------
    model
        The path or bytes of an ONNX model, or an ``onnx.ModelProto``; left as it is.
    data
        Typical inputs, prepared as for inference. One of: an iterable of runs, each an array
        (one input) or arrays by input name; an array, or arrays by name, with samples along the
        first axis; the path of such an ``.npz`` or ``.npy``; a folder of these, or of images (JPEG,
        PNG), each of which is scaled until it covers the input, cut to it and laid out as it is.
    method
        How the range of an activation is chosen: "minmax", "percentile", "mse", "entropy", or
        "auto", which takes for each tensor the one of the least measured error.
    smooth
        Move outlier channels of normalizations into the weights that take them.
    equalize
        Scale channels between layers so that they use their common range alike.
    correct_bias
        Put back into biases what rounding the weights adds on average.
    search_weights
        Choose each weight scale by its squared error, not by the largest weight.
    mixed
        Look for the few tensors and weights that bring most noise to the outputs: they get the
        range that brings least (with "auto"), or two bytes where products read them, are tried in
        float where their share of the noise is twice that of the time and of the weights, and stay
        so if the noise falls by half of that; a quarter more of the time at most, but for two bytes
        of what brings most of the noise. With `smooth`, functions whose outliers move into weights
        are in float too.
    gptq
        Round the weights among them so that each makes up for the errors of others.
    keep_float
        Names of nodes that stay in float.
    engine
        What runs the float model: "quaver" or "onnxruntime".
    measure
        Measure errors and latency for the report.
    metric
        What `max_drop` is about: "top1", "f1" (the mean over classes), "cosine" (of all outputs to
        those of the float model; the default), or a function of the outputs (a list with a
        dictionary of arrays for each run) and the labels of these runs (a list, or None) that
        gives a number, more being better.
    labels
        One entry for each sample, in order: for "top1" and "f1" the number of the right class, for
        a function whatever it takes. Without them the float model's answers are taken for right.
    max_drop
        What the metric may fall by against the float model. Layers return to float where that buys
        most accuracy for its time on this machine, until the promise is kept, on a part of the
        samples that neither calibration nor this search has seen. Without it a metric is measured.
    never_slower
        Leave nodes in float that are measured to be slower in int8 on this machine.
    mean, std
        What images become: (value / 255 − mean) / std, of each channel or of all; an input of u8
        takes their bytes.
    size
        Height and width of images, where the model leaves them open.
    seed
        Chooses the samples kept for repairs and measurements. The same model, data and seed give
        the same bytes.

    Returns
    -------
    Result
        With ``.model``, ``.report``, ``.save(path)`` and ``.save_report(path)``.

    Raises
    ------
    InputError
        If there is no data, or data of a wrong name, dtype or shape, or with NaN.
    FileError
        If a file cannot be read; `CorruptFileError` if it is damaged.
    AccuracyError
        If no int8 model keeps the promise; its ``.report`` has the frontier.
    ModelError
        If the model is broken, gives NaN on the data, or is quantized already.
    """
    if max_drop is not None and not (isinstance(max_drop, (int, float)) and max_drop >= 0):
        raise InputError(f"max_drop is {max_drop!r}; a number of at least 0 is expected")
    if max_drop is None and (metric is not None or labels is not None):
        max_drop = inf  # measured, and kept whatever it is
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}; there are {', '.join(METHODS)}")
    try:
        from quaver.quantize.job import Job, Options  # noqa: PLC0415 -- needs onnx
    except ImportError as error:
        raise InputError(
            f"quantizing needs the package onnx ({error}): pip install onnx"
        ) from error
    options = Options(
        method,
        smooth,
        equalize,
        correct_bias,
        search_weights,
        mixed,
        gptq,
        frozenset(keep_float),
        engine,
        metric or "cosine",
        max_drop,
        never_slower,
        Pictures(mean, std, size),
    )
    job = Job(model, data, options, seed, labels)
    made = job.run()
    facts: dict[str, Any] = job.report()
    if measure:
        facts |= job.measure(made)
    return Result(made, facts)
