"""tritonclient.grpc.aio, against `simple`."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import tritonclient.grpc.aio as client

A = np.arange(16, dtype=np.int32).reshape(1, 16)
B = np.full((1, 16), 3, np.int32)


def inputs() -> list[client.InferInput]:
    made = [client.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
    made[0].set_data_from_numpy(A)
    made[1].set_data_from_numpy(B)
    return made


def check(result: Any) -> None:
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + B)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), A - B)


async def requests() -> AsyncIterator[dict[str, Any]]:
    for at in range(10):
        yield {"model_name": "simple", "inputs": inputs(), "request_id": str(at)}


async def main() -> None:
    async with client.InferenceServerClient(f"127.0.0.1:{sys.argv[2]}") as c:
        assert await c.is_server_live()
        assert await c.is_server_ready()
        assert await c.is_model_ready("simple")
        assert (await c.get_server_metadata()).name == "quaver"
        assert (await c.get_model_metadata("simple")).platform == "quaver"
        assert (await c.get_model_config("simple")).config.name == "simple"
        assert (await c.get_model_repository_index()).models[0].state == "READY"
        for result in await asyncio.gather(*(c.infer("simple", inputs()) for _ in range(32))):
            check(result)
        count = 0
        async for result, error in c.stream_infer(requests()):
            assert error is None
            check(result)
            count += 1
        assert count == 10
        await c.load_model("simple")
        assert (await c.get_inference_statistics("simple")).model_stats
        assert (await c.get_trace_settings()).settings["trace_level"].value == ["OFF"]
        assert (await c.get_log_settings()).settings["log_error"].bool_param
        assert not (await c.get_system_shared_memory_status()).regions


asyncio.run(main())
print("done")
