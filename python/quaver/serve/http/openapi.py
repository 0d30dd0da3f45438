"""The OpenAPI document."""

from __future__ import annotations

import re
from typing import Any

import quaver
from quaver.serve.http.routes import ROWS, Row
from quaver.serve.http.schemas import SCHEMAS, ref

_REASONS = {
    400: "The request breaks the protocol or does not fit the model",
    401: "The request bears no valid token",
    404: "There is no such model, version or region",
    405: "The path does not know the method",
    413: "The body is too long",
    415: "The body's encoding is unknown",
    429: "Too many requests",
    499: "The client was gone before the answer",
    501: "The server does not do this, or was told not to",
    503: "The server is not ready, about to stop, or has no room",
    504: "The request's deadline passed before it could run",
}
_BINARY_HEADER = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "description": "The JSON's length where bytes follow it; 0: the body is the input's bytes",
    "schema": {"type": "integer", "minimum": 0},
}


def document() -> dict[str, Any]:
    """All paths of REST, as OpenAPI 3.1."""
    paths: dict[str, Any] = {}
    for row in ROWS:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row)
    paths["/metrics"] = {"get": _plain("Metrics for Prometheus", "metrics", "text/plain")}
    paths["/openapi.json"] = {"get": _plain("This document", "openapi", "application/json")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Quaver",
            "version": quaver.__version__,
            "description": "The open inference protocol, version 2.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _plain(summary: str, name: str, media: str) -> dict[str, Any]:
    content = {media: {"schema": {"type": "object" if media.endswith("json") else "string"}}}
    return {
        "summary": summary,
        "operationId": name,
        "responses": {"200": {"description": "OK", "content": content}, "401": _error(401)},
    }


def _operation(row: Row) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", row.path)
    kind = "_version" if "version" in names else "_all" if not names else ""
    place = "_region" if "region" in names else ""
    model = "_model" if "model" in names and row.call in ("trace", "set_trace") else ""
    operation: dict[str, Any] = {
        "summary": row.summary,
        "operationId": f"{row.call}{kind}{place}{model}_{row.method.lower()}",
        "parameters": [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": {"type": "string", "minLength": 1},
            }
            for name in names
        ],
        "responses": {
            "200": {"description": "OK", "content": _content(row.response, row.call == "infer")},
            "401": _error(401),
            **{str(status): _error(status) for status in row.errors},
        },
    }
    if row.request:
        operation["requestBody"] = {
            "required": row.call == "infer",
            "content": _content(row.request, row.call == "infer"),
        }
    if row.call == "infer":
        operation["parameters"].append(_BINARY_HEADER)
    if row.call in ("ready", "model_ready"):
        operation["responses"]["503"]["content"] = _content(row.response, False)
    return operation


def _content(schema: str, binary: bool) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": ref(schema)}}
    if binary:
        content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    return content


def _error(status: int) -> dict[str, Any]:
    return {"description": _REASONS[status], "content": _content("Error", False)}
