"""REST's paths: what each takes, gives and means. The routing and the document are made of it."""

from __future__ import annotations

from typing import NamedTuple

M = "/v2/models/{model}"
V = M + "/versions/{version}"
_SHARED = "/v2/systemsharedmemory"
_CUDA = "/v2/cudasharedmemory"


class Row(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    call: str
    """The name of the method of `http.calls.Calls` that answers."""
    summary: str
    response: str
    request: str = ""
    errors: tuple[int, ...] = ()


_GONE = (404,)
_BAD = (400, 413, 415)

ROWS = (
    Row("GET", "/v2", "server", "The server's name, version and extensions", "Server"),
    Row("GET", "/v2/health/live", "live", "Whether the server runs", "Live"),
    Row("GET", "/v2/health/ready", "ready", "Whether every model can answer", "Ready", "", (503,)),
    Row("GET", "/v2/models/stats", "stats", "Statistics of all models", "Statistics"),
    Row("GET", M, "model", "A model's inputs and outputs", "Model", "", _GONE),
    Row("GET", V, "model", "The same, of a version", "Model", "", _GONE),
    Row("GET", M + "/ready", "model_ready", "Whether a model can answer", "ModelReady", "",
        (404, 503)),
    Row("GET", V + "/ready", "model_ready", "Whether a version can", "ModelReady", "", (404, 503)),
    Row("GET", M + "/config", "config", "A model's configuration", "Config", "", _GONE),
    Row("GET", V + "/config", "config", "The same, of a version", "Config", "", _GONE),
    Row("GET", M + "/stats", "stats", "A model's statistics", "Statistics", "", _GONE),
    Row("GET", V + "/stats", "stats", "A version's statistics", "Statistics", "", _GONE),
    Row("POST", M + "/infer", "infer", "Run a model", "InferResponse", "InferRequest",
        (*_BAD, 404, 429, 501, 503, 504)),
    Row("POST", V + "/infer", "infer", "Run a version", "InferResponse", "InferRequest",
        (*_BAD, 404, 429, 501, 503, 504)),
    Row("POST", "/v2/repository/index", "index", "All versions and their state", "Index",
        "IndexRequest", _BAD),
    Row("POST", "/v2/repository/models/{model}/load", "load", "Load a model", "Empty",
        "LoadRequest", (*_BAD, 404, 501)),
    Row("POST", "/v2/repository/models/{model}/unload", "unload", "Unload a model", "Empty",
        "LoadRequest", (*_BAD, 404, 501)),
    Row("POST", "/v2/repository/models/{model}/rollback", "rollback",
        "Go back to the version before", "Version", "", (400, 404, 501)),
    Row("GET", _SHARED + "/status", "regions", "Registered shared memory", "Regions", "", (501,)),
    Row("GET", _SHARED + "/region/{region}/status", "regions", "One region", "Regions", "",
        (404, 501)),
    Row("POST", _SHARED + "/region/{region}/register", "register", "Register shared memory",
        "Empty", "RegisterRequest", (*_BAD, 501)),
    Row("POST", _SHARED + "/unregister", "unregister", "Forget all regions", "Empty", "", (501,)),
    Row("POST", _SHARED + "/region/{region}/unregister", "unregister", "Forget a region", "Empty",
        "", (501,)),
    Row("GET", _CUDA + "/status", "cuda_regions", "None: there is no CUDA", "Regions"),
    Row("GET", _CUDA + "/region/{region}/status", "cuda", "None: there is no CUDA", "Regions", "",
        (400,)),
    Row("POST", _CUDA + "/region/{region}/register", "cuda", "None: there is no CUDA", "Empty", "",
        (400,)),
    Row("POST", _CUDA + "/unregister", "cuda_none", "Forget none", "Empty"),
    Row("POST", _CUDA + "/region/{region}/unregister", "cuda_none", "Forget none", "Empty"),
    Row("GET", "/v2/trace/setting", "trace", "Trace settings", "Settings"),
    Row("POST", "/v2/trace/setting", "set_trace", "Change them", "Settings", "Settings", _BAD),
    Row("GET", M + "/trace/setting", "trace", "A model's trace settings", "Settings", "", _GONE),
    Row("POST", M + "/trace/setting", "set_trace", "Change them", "Settings", "Settings",
        (*_BAD, 404)),
    Row("GET", "/v2/logging", "logging", "Logging settings", "Settings"),
    Row("POST", "/v2/logging", "set_logging", "Change them", "Settings", "Settings", _BAD),
)  # fmt: skip
