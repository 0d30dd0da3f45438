"""JSON schemas of what REST takes and gives, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from quaver.serve.protocol.datatypes import DATATYPES

Schema = dict[str, Any]


def _object(required: str = "", **properties: Schema) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    return {**schema, "required": required.split()} if required else schema


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def ref(name: str) -> Schema:
    """A reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_MAP: Schema = {"type": "object"}
_DATATYPE: Schema = {"type": "string", "enum": list(DATATYPES)}
_SHAPE: Schema = _list({"type": "integer"})
_PORT = _object("name datatype shape", name=_TEXT, datatype=_DATATYPE, shape=_SHAPE)
_DURATION = _object("count ns", count=_COUNT, ns=_COUNT)

SCHEMAS: dict[str, Schema] = {
    "Error": _object("error", error=_TEXT),
    "Empty": _object(),
    "Live": _object("live", live=_FLAG),
    "Ready": _object("ready", ready=_FLAG),
    "ModelReady": _object("name ready", name=_TEXT, ready=_FLAG),
    "Server": _object(
        "name version extensions", name=_TEXT, version=_TEXT, extensions=_list(_TEXT)
    ),
    "Model": _object(
        "name versions platform inputs outputs",
        name=_TEXT,
        versions=_list(_TEXT),
        platform=_TEXT,
        inputs=_list(_PORT),
        outputs=_list(_PORT),
    ),
    "Config": _object("name max_batch_size", name=_TEXT, max_batch_size=_COUNT),
    "Statistics": _object(
        "model_stats",
        model_stats=_list(
            _object(
                "name version inference_count execution_count inference_stats batch_stats",
                name=_TEXT,
                version=_TEXT,
                last_inference=_COUNT,
                inference_count=_COUNT,
                execution_count=_COUNT,
                inference_stats={"type": "object", "additionalProperties": _DURATION},
                batch_stats=_list(_MAP),
            )
        ),
    ),
    "InferRequest": _object(
        "inputs",
        id=_TEXT,
        parameters=_MAP,
        inputs=_list(
            _object(
                "name datatype shape",
                name=_TEXT,
                datatype=_DATATYPE,
                shape=_list(_COUNT),
                data={"type": "array"},
                parameters=_MAP,
            )
        ),
        outputs=_list(_object("name", name=_TEXT, parameters=_MAP)),
    ),
    "InferResponse": _object(
        "model_name model_version outputs",
        model_name=_TEXT,
        model_version=_TEXT,
        id=_TEXT,
        outputs=_list(
            _object(
                "name datatype shape",
                name=_TEXT,
                datatype=_DATATYPE,
                shape=_SHAPE,
                data={"type": "array"},
                parameters=_MAP,
            )
        ),
    ),
    "IndexRequest": _object(ready=_FLAG),
    "Index": _list(
        _object("name version state reason", name=_TEXT, version=_TEXT, state=_TEXT, reason=_TEXT)
    ),
    "LoadRequest": _object(parameters=_MAP),
    "Version": _object("version", version=_COUNT),
    "Regions": _list(
        _object("name key offset byte_size", name=_TEXT, key=_TEXT, offset=_COUNT, byte_size=_COUNT)
    ),
    "RegisterRequest": _object("key byte_size", key=_TEXT, offset=_COUNT, byte_size=_COUNT),
    "Settings": _MAP,
}
