"""tritonclient.grpc.aio, against `simple`."""

import asyncio
import sys
from collections.abc import AsyncIterator

import tritonclient.grpc.aio as client
from _triton import check, inputs


async def requests() -> AsyncIterator[dict[str, object]]:
    for at in range(10):
        yield {"model_name": "simple", "inputs": inputs(client), "request_id": str(at)}


async def main() -> None:
    async with client.InferenceServerClient(f"127.0.0.1:{sys.argv[2]}") as c:
        assert await c.is_server_live()
        assert await c.is_server_ready()
        assert await c.is_model_ready("simple")
        assert (await c.get_server_metadata()).name == "quaver"
        assert (await c.get_model_metadata("simple")).platform == "quaver"
        assert (await c.get_model_config("simple")).config.name == "simple"
        assert (await c.get_model_repository_index()).models[0].state == "READY"
        for result in await asyncio.gather(*(c.infer("simple", inputs(client)) for _ in range(32))):
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
