"""tritonclient.http.aio, against `simple`."""

import asyncio
import sys

import tritonclient.http.aio as client
from _triton import check, expect_all_used, inputs, noting, share
from tritonclient.http.auth import BasicAuth
from tritonclient.utils import InferenceServerException


async def one(c: client.InferenceServerClient, binary: bool, packed: str | None) -> None:
    result = await c.infer(
        "simple",
        inputs(client, binary_data=binary),
        request_compression_algorithm=packed,
        response_compression_algorithm=packed,
    )
    check(result)


async def main() -> None:
    async with noting(client.InferenceServerClient)(f"127.0.0.1:{sys.argv[1]}") as c:
        assert await c.is_server_live()
        assert await c.is_server_ready()
        assert await c.is_model_ready("simple")
        assert (await c.get_server_metadata())["name"] == "quaver"
        assert (await c.get_model_metadata("simple"))["platform"] == "quaver"
        assert (await c.get_model_config("simple"))["name"] == "simple"
        assert (await c.get_model_repository_index())[0]["state"] == "READY"
        ways = [(b, p) for b in (True, False) for p in (None, "gzip", "deflate")]
        await asyncio.gather(*(one(c, *way) for way in ways * 5))
        await c.load_model("simple")
        assert (await c.get_inference_statistics("simple"))["model_stats"]
        assert (await c.get_trace_settings())["trace_level"] == ["OFF"]
        assert (await c.update_trace_settings(settings={"trace_rate": "9"}))["trace_rate"] == "9"
        assert (await c.get_log_settings())["log_error"] is True
        assert (await c.update_log_settings({"log_info": True}))["log_info"] is True
        assert await c.get_system_shared_memory_status() == []
        assert await c.get_cuda_shared_memory_status() == []
        try:
            await c.register_system_shared_memory("x", "/quaver_not_there", 4)
        except InferenceServerException as error:
            assert "quaver_not_there" in error.message()
        else:
            raise AssertionError("registered what is not there")
        try:
            await c.register_cuda_shared_memory("g", b"1", 0, 4)
        except InferenceServerException as error:
            assert "CUDA" in error.message()
        else:
            raise AssertionError("there is no CUDA")
        await c.unregister_cuda_shared_memory()
        await share(client, c, "/quaver_test_http_aio")
        c.register_plugin(BasicAuth("a", "b"))
        assert c.plugin() is not None
        check(await c.infer("simple", inputs(client)))
        c.unregister_plugin()
        assert c.generate_request_body(inputs(client))[1] is not None
        assert c.parse_response_body(b'{"outputs": []}').get_response() == {"outputs": []}
        await c.unload_model("simple")
        assert not await c.is_model_ready("simple")
        await c.load_model("simple")
        expect_all_used(c)


asyncio.run(main())
print("done")
