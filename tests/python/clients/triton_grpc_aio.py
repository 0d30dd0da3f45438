"""tritonclient.grpc.aio, against `simple`."""

import asyncio
import sys
from collections.abc import AsyncIterator

import tritonclient.grpc.aio as client
from _triton import check, expect_all_used, inputs, noting, share
from tritonclient.grpc.auth import BasicAuth
from tritonclient.utils import InferenceServerException


async def requests() -> AsyncIterator[dict[str, object]]:
    for at in range(10):
        yield {"model_name": "simple", "inputs": inputs(client), "request_id": str(at)}


async def main() -> None:
    async with noting(client.InferenceServerClient)(f"127.0.0.1:{sys.argv[2]}") as c:
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
        await share(client, c, "/quaver_test_grpc_aio")
        assert not (await c.get_cuda_shared_memory_status()).regions
        try:
            await c.register_cuda_shared_memory("g", b"MQ==", 0, 4)
        except InferenceServerException as error:
            assert "CUDA" in error.message()
        else:
            raise AssertionError("there is no CUDA")
        await c.unregister_cuda_shared_memory()
        changed = await c.update_trace_settings(settings={"trace_rate": "9"})
        assert changed.settings["trace_rate"].value == ["9"]
        changed = await c.update_log_settings({"log_info": True})
        assert changed.settings["log_info"].bool_param
        c.register_plugin(BasicAuth("a", "b"))
        assert c.plugin() is not None
        check(await c.infer("simple", inputs(client)))
        c.unregister_plugin()
        await c.unload_model("simple")
        assert not await c.is_model_ready("simple")
        await c.load_model("simple")
        expect_all_used(c)


asyncio.run(main())
print("done")
