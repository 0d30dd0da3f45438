"""All of tritonclient.http, against `simple`."""

import sys
import urllib.request

import numpy as np
import tritonclient.http as client
import tritonclient.utils.shared_memory as shm
from _triton import A, B, check, expect_all_used, fails, inputs, noting
from tritonclient.http.auth import BasicAuth


def describe(c: client.InferenceServerClient) -> None:
    assert c.is_server_live()
    assert c.is_server_ready()
    assert c.is_model_ready("simple")
    assert c.is_model_ready("simple", "1")
    assert not c.is_model_ready("simple", "9")
    assert not c.is_model_ready("other")
    assert c.get_server_metadata()["name"] == "quaver"
    metadata = c.get_model_metadata("simple")
    assert metadata["inputs"][0] == {"name": "INPUT0", "datatype": "INT32", "shape": [-1, 16]}
    assert c.get_model_metadata("simple", "1") == metadata
    config = c.get_model_config("simple", "1")
    assert config["max_batch_size"] == 16
    assert config["input"][0] == {"name": "INPUT0", "data_type": "TYPE_INT32", "dims": [16]}
    assert "other" in fails("404", c.get_model_metadata, "other")


def infer(c: client.InferenceServerClient) -> None:
    check(c.infer("simple", inputs(client)))
    check(c.infer("simple", inputs(client, binary_data=False), model_version="1"))
    for binary in (True, False):
        outputs = [
            client.InferRequestedOutput("OUTPUT1", binary_data=binary),
            client.InferRequestedOutput("OUTPUT0", binary_data=binary),
        ]
        for _ in range(3):
            check(c.infer("simple", inputs(client, binary_data=binary), outputs=outputs))
        result = c.infer(
            "simple", inputs(client, binary_data=binary), outputs=outputs, request_id="7",
            priority=1, timeout=10**6,
            headers={"X-Request-Id": "seven"}, parameters={"mine": "yes"},
        )  # fmt: skip
        assert result.get_response()["id"] == "7"
        check(result)
    for request, response in (("gzip", "deflate"), ("deflate", "gzip")):
        check(
            c.infer(
                "simple",
                inputs(client),
                request_compression_algorithm=request,
                response_compression_algorithm=response,
            )
        )
    pending = [c.async_infer("simple", inputs(client)) for _ in range(8)]
    for each in pending:
        check(each.get_result())
    body, length = c.generate_request_body(inputs(client))
    url = f"http://127.0.0.1:{sys.argv[1]}/v2/models/simple/infer"
    headers = {"Inference-Header-Content-Length": str(length)}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
        head = answer.headers["Inference-Header-Content-Length"]
        check(c.parse_response_body(answer.read(), header_length=head and int(head)))
    again = inputs(client)
    again[0].set_shape([1, 16])
    assert (again[0].name(), again[0].shape(), again[0].datatype()) == ("INPUT0", [1, 16], "INT32")
    result = c.infer("simple", again)
    assert result.get_output("OUTPUT0")["shape"] == [1, 16]
    c.register_plugin(BasicAuth("a", "b"))
    assert c.plugin() is not None
    check(c.infer("simple", again))
    c.unregister_plugin()
    classes = client.InferRequestedOutput("OUTPUT0", class_count=2)
    best = c.infer("simple", inputs(client), outputs=[classes]).as_numpy("OUTPUT0")
    assert best.tolist() == [[b"18:15", b"17:14"]], best
    assert "no version '9'" in fails("404", c.infer, "simple", inputs(client), model_version="9")
    assert "INPUT1" in fails("400", c.infer, "simple", inputs(client)[:1])


def manage(c: client.InferenceServerClient) -> None:
    c.unload_model("simple")
    assert not c.is_model_ready("simple")
    assert c.get_model_repository_index()[0]["state"] == "UNAVAILABLE"
    c.load_model("simple")
    assert c.is_model_ready("simple")
    assert c.get_model_repository_index() == [
        {"name": "simple", "version": "1", "state": "READY", "reason": ""}
    ]
    assert "other" in fails("404", c.load_model, "other")
    assert "folder" in fails("400", c.load_model, "simple", config='{"max_batch_size": 3}')
    statistics = c.get_inference_statistics("simple", "1")["model_stats"][0]
    assert statistics["inference_count"] >= 10
    assert statistics["inference_stats"]["success"]["count"] >= 10
    assert c.get_inference_statistics()["model_stats"]
    assert c.get_trace_settings()["trace_level"] == ["OFF"]
    traced = c.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"], "trace_rate": 1})
    assert traced["trace_level"] == ["TIMESTAMPS"]
    check(c.infer("simple", inputs(client)))
    assert c.update_trace_settings("simple", {"trace_rate": "5"})["trace_rate"] == "5"
    assert c.get_trace_settings("simple")["trace_rate"] == "5"
    c.update_trace_settings(settings={"trace_level": ["OFF"], "trace_rate": None})
    assert c.get_trace_settings()["trace_rate"] == "1000"
    assert c.get_log_settings()["log_info"] is True
    assert c.update_log_settings({"log_verbose_level": 1})["log_verbose_level"] == 1
    assert c.update_log_settings({"log_verbose_level": 0})["log_verbose_level"] == 0


def share(c: client.InferenceServerClient) -> None:
    given = shm.create_shared_memory_region("given", "/quaver_test_given", 128)
    taken = shm.create_shared_memory_region("taken", "/quaver_test_taken", 128)
    try:
        shm.set_shared_memory_region(given, [A, B])
        c.register_system_shared_memory("given", "/quaver_test_given", 128)
        c.register_system_shared_memory("taken", "/quaver_test_taken", 128)
        assert len(c.get_system_shared_memory_status()) == 2
        assert c.get_system_shared_memory_status("given")[0]["byte_size"] == 128
        wanted = [client.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]
        sources = [client.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
        for at in range(2):
            sources[at].set_shared_memory("given", 64, offset=64 * at)
            wanted[at].set_shared_memory("taken", 64, offset=64 * at)
        c.infer("simple", sources, outputs=wanted)
        wanted[0].unset_shared_memory()
        half = c.infer("simple", sources, outputs=wanted)
        np.testing.assert_array_equal(half.as_numpy("OUTPUT0"), A + B)
        sums = shm.get_contents_as_numpy(taken, np.int32, [1, 16])
        np.testing.assert_array_equal(sums, A + B)
        differences = shm.get_contents_as_numpy(taken, np.int32, [1, 16], offset=64)
        np.testing.assert_array_equal(differences, A - B)
        sources[0].set_shared_memory("given", 64, offset=65)
        assert "128 bytes" in fails("400", c.infer, "simple", sources)
        c.unregister_system_shared_memory("given")
        c.unregister_system_shared_memory()
        assert c.get_system_shared_memory_status() == []
        assert c.get_cuda_shared_memory_status() == []
        assert "CUDA" in fails("400", c.register_cuda_shared_memory, "g", b"1", 0, 4)
        c.unregister_cuda_shared_memory()
    finally:
        shm.destroy_shared_memory_region(given)
        shm.destroy_shared_memory_region(taken)


kind = noting(client.InferenceServerClient)
with kind(f"127.0.0.1:{sys.argv[1]}", concurrency=4) as connection:
    for part in (describe, infer, manage, share):
        part(connection)
    expect_all_used(connection)
print("done")
