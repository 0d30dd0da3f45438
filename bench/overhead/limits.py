"""Servers that add and subtract two int32 vectors, each a process of its own.

``python -m overhead.limits NAME PORT [MODEL]`` is one of them. Each does by hand, in as few lines
as it can, what the whole server does: parse the binary tensor extension (or the protocol's
messages), compute, answer. So they are not rivals but limits: what the framework alone costs.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np

_SIZE = 64
_END = b"\r\n\r\n"
_ANSWER = b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: 0\r\nContent-Length: %d\r\n\r\n"


def _answer(body: bytes, length: int) -> tuple[bytes, bytes]:
    json.loads(body[:length])
    a, b = np.frombuffer(body, np.int32, offset=length).reshape(2, 16)
    outputs = [
        {
            "name": name,
            "datatype": "INT32",
            "shape": [1, 16],
            "parameters": {"binary_data_size": _SIZE},
        }
        for name in ("OUTPUT0", "OUTPUT1")
    ]
    record = {"model_name": "simple", "model_version": "0", "outputs": outputs}
    return json.dumps(record).encode(), (a + b).tobytes() + (a - b).tobytes()


def starlette(port: int) -> None:
    """Serve by a bare Starlette route on uvicorn."""
    import uvicorn  # noqa: PLC0415 -- each peer loads what it needs
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.requests import Request  # noqa: PLC0415
    from starlette.responses import Response  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def infer(request: Request) -> Response:
        length = int(request.headers["inference-header-content-length"])
        head, tensors = _answer(await request.body(), length)
        headers = {"inference-header-content-length": str(len(head))}
        return Response(head + tensors, headers=headers, media_type="application/octet-stream")

    app = Starlette(routes=[Route("/v2/models/simple/infer", infer, methods=["POST"])])
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", log_level="critical")


def reader(port: int) -> None:
    """Read bodies by a bare application on uvicorn and answer 4000 bytes; nothing is run."""
    import uvicorn  # noqa: PLC0415

    headers = [(b"content-length", b"4000"), (b"inference-header-content-length", b"0")]

    async def answer(_: Any, receive: Any, send: Any) -> None:
        parts, more = [], True
        while more:
            message = await receive()
            parts.append(message["body"])
            more = message["more_body"]
        b"".join(parts)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(4000)})

    uvicorn.run(answer, port=port, loop="uvloop", http="httptools", lifespan="off",
                log_level="critical")  # fmt: skip


def sockets(port: int, path: str) -> None:
    """Run a network of one image for requests whose length is known, a thread each: no protocol.

    Nothing that answers the same clients by the same runs on the same cores can do less.
    """
    import socket  # noqa: PLC0415
    import threading  # noqa: PLC0415

    import quaver  # noqa: PLC0415

    model, turn = quaver.load(path, threads=1), threading.Lock()
    shape = tuple(dim or 1 for dim in model.inputs[0].shape)

    def answer(client: socket.socket) -> None:
        x = np.empty(shape, np.float32)
        while head := client.recv(1 << 16, socket.MSG_PEEK):
            end = head.find(_END) + len(_END)
            length = int(head.split(b"Length: ")[1].split(b"\r\n")[0])  # of the JSON
            client.recv(end + length, socket.MSG_WAITALL)
            client.recv_into(x, x.nbytes, socket.MSG_WAITALL)
            with turn:
                y = model(x)
            client.sendall(_ANSWER % y.nbytes + y.tobytes())

    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            threading.Thread(target=answer, args=server.accept()[:1], daemon=True).start()


def grpc_aio(port: int, *, plain: bool = False) -> None:
    """Serve by a bare handler of grpc.aio.

    Parameters
    ----------
    port
        Where.
    plain
        Whether as its documentation has it: on asyncio's own loop, methods registered as generated
        code does. Else on the faster loop, methods looked up, which is faster too.
    """
    import grpc  # noqa: PLC0415
    import uvloop  # noqa: PLC0415

    from quaver.serve.protocol.proto import messages  # noqa: PLC0415

    response = messages()["ModelInferResponse"]

    async def infer(request: Any, _: Any) -> Any:
        a, b = (np.frombuffer(raw, np.int32) for raw in request.raw_input_contents)
        answer = response(model_name="simple", model_version="0")
        for name, array in (("OUTPUT0", a + b), ("OUTPUT1", a - b)):
            answer.outputs.add(name=name, datatype="INT32", shape=[1, 16])
            answer.raw_output_contents.append(array.tobytes())
        return answer

    async def run() -> None:
        server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(
            infer, messages()["ModelInferRequest"].FromString, response.SerializeToString
        )
        name, handlers = "inference.GRPCInferenceService", {"ModelInfer": handler}
        service = grpc.method_handlers_generic_handler(name, handlers)
        server.add_generic_rpc_handlers((service,))
        if plain:
            server.add_registered_method_handlers(name, handlers)
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        await server.wait_for_termination()

    if not plain:
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(run())


def grpc_aio_plain(port: int) -> None:
    """Serve by a bare handler of grpc.aio, as its documentation has it."""
    grpc_aio(port, plain=True)


if __name__ == "__main__":
    limits = {
        "starlette": starlette,
        "grpc.aio": grpc_aio,
        "grpc.aio-plain": grpc_aio_plain,
        "reader": reader,
        "sockets": sockets,
    }
    limits[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:])
