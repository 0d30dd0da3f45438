"""A model's metadata and configuration, as the protocol has them."""

from __future__ import annotations

from typing import Any

from quaver.model import Port
from quaver.serve.models.served import ServedModel
from quaver.serve.protocol.datatypes import datatype_of


def metadata(model: ServedModel) -> dict[str, Any]:
    """Versions, inputs and outputs; a dimension that is open is -1."""
    return {
        "name": model.name,
        "versions": [str(number) for number in model.versions],
        "platform": "quaver",
        "inputs": [_port(port) for port in model.inputs],
        "outputs": [_port(port) for port in model.outputs],
    }


def config(model: ServedModel, workers: int) -> dict[str, Any]:
    """The configuration, its batch dimension left out of `dims` where requests are gathered."""
    settings = model.settings
    gathers = not model.alone and settings.max_batch > 1
    record: dict[str, Any] = {
        "name": model.name,
        "platform": "quaver",
        "backend": "quaver",
        "version_policy": _policy(settings.versions),
        "max_batch_size": settings.max_batch if gathers else 0,
        "input": [_config_port(port, gathers) for port in model.inputs],
        "output": [_config_port(port, gathers) for port in model.outputs],
        "instance_group": [{"name": model.name, "kind": "KIND_CPU", "count": workers}],
        "default_model_filename": "model.quaver",
        "parameters": {
            "threads": {"string_value": str(settings.threads)},
            "float_precision": {"string_value": settings.float_precision},
        },
    }
    if gathers:
        record["dynamic_batching"] = {
            "preferred_batch_size": [],
            "max_queue_delay_microseconds": settings.max_delay_us,
        }
    else:
        record["parameters"]["gathers_not"] = {"string_value": model.alone or "max_batch is 1"}
    return record


def _policy(versions: str) -> dict[str, Any]:
    if versions == "all":
        return {"all": {}}
    if versions.startswith("latest"):
        return {"latest": {"num_versions": int(versions.partition(":")[2] or 1)}}
    return {"specific": {"versions": [int(number) for number in versions.split(",")]}}


def _shape(port: Port) -> list[int]:
    return [-1 if dim is None else dim for dim in port.shape]


def _port(port: Port) -> dict[str, Any]:
    return {"name": port.name, "datatype": datatype_of(port.dtype), "shape": _shape(port)}


def _config_port(port: Port, gathers: bool) -> dict[str, Any]:
    dims = _shape(port)[1:] if gathers else _shape(port)
    return {"name": port.name, "data_type": f"TYPE_{datatype_of(port.dtype)}", "dims": dims}
