"""kserve's clients, REST and gRPC, against `simple`."""

import asyncio
import sys

import numpy as np
from kserve import InferInput, InferRequest
from kserve.inference_client import InferenceGRPCClient, InferenceRESTClient, RESTConfig

A = np.arange(16, dtype=np.int32).reshape(1, 16)
B = np.full((1, 16), 3, np.int32)


def request(binary: bool) -> InferRequest:
    inputs = [InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
    inputs[0].set_data_from_numpy(A, binary_data=binary)
    inputs[1].set_data_from_numpy(B, binary_data=binary)
    return InferRequest("simple", inputs, request_id="7")


def check(response: object) -> None:
    sums, differences = response.outputs
    np.testing.assert_array_equal(sums.as_numpy(), A + B)
    np.testing.assert_array_equal(differences.as_numpy(), A - B)
    assert response.id == "7"


async def rest(port: str) -> None:
    url = f"http://127.0.0.1:{port}"
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    assert await client.is_server_live(url)
    assert await client.is_server_ready(url)
    assert await client.is_model_ready(url, "simple")
    for binary in (False, True):
        check(await client.infer(url, request(binary), model_name="simple"))
    await client.close()


async def rpc(port: str) -> None:
    async with InferenceGRPCClient(f"127.0.0.1:{port}") as client:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("simple")
        for binary in (False, True):
            check(await client.infer(request(binary)))


asyncio.run(rest(sys.argv[1]))
asyncio.run(rpc(sys.argv[2]))
print("done")
