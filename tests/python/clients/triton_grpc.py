"""All of tritonclient.grpc, against `simple`."""

import queue
import sys

import numpy as np
import tritonclient.grpc as client
import tritonclient.utils.shared_memory as shm
from _triton import A, B, check, expect_all_used, fails, inputs, noting
from tritonclient.grpc.auth import BasicAuth


def describe(c: client.InferenceServerClient) -> None:
    assert c.is_server_live()
    assert c.is_server_ready()
    assert c.is_model_ready("simple")
    assert c.is_model_ready("simple", "1")
    assert not c.is_model_ready("other")
    assert c.get_server_metadata().name == "quaver"
    assert c.get_server_metadata(as_json=True)["name"] == "quaver"
    metadata = c.get_model_metadata("simple")
    assert list(metadata.inputs[0].shape) == [-1, 16]
    config = c.get_model_config("simple").config
    assert config.max_batch_size == 16
    assert config.input[0].data_type == 8
    assert list(config.input[0].dims) == [16]
    assert config.version_policy.latest.num_versions == 1
    assert "other" in fails("NOT_FOUND", c.get_model_metadata, "other")


def infer(c: client.InferenceServerClient) -> None:
    for _ in range(5):
        check(c.infer("simple", inputs(client)))
    outputs = [client.InferRequestedOutput(name) for name in ("OUTPUT1", "OUTPUT0")]
    result = c.infer(
        "simple", inputs(client), model_version="1", outputs=outputs, request_id="7", priority=1,
        timeout=10**6, client_timeout=10, headers={"x": "y"}, parameters={"mine": "yes"},
    )  # fmt: skip
    assert result.get_response().id == "7"
    check(result)
    again = inputs(client)
    again[0].set_shape([1, 16])
    assert (again[0].name(), again[0].shape(), again[0].datatype()) == ("INPUT0", [1, 16], "INT32")
    c.register_plugin(BasicAuth("a", "b"))
    assert c.plugin() is not None
    assert list(c.infer("simple", again).get_output("OUTPUT0").shape) == [1, 16]
    c.unregister_plugin()
    for packed in ("gzip", "deflate"):
        check(c.infer("simple", inputs(client), compression_algorithm=packed))
    answers: queue.Queue = queue.Queue()
    for _ in range(8):
        c.async_infer("simple", inputs(client), lambda result, error: answers.put((result, error)))
    for _ in range(8):
        result, error = answers.get(timeout=10)
        assert error is None
        check(result)
    classes = client.InferRequestedOutput("OUTPUT0", class_count=2)
    best = c.infer("simple", inputs(client), outputs=[classes]).as_numpy("OUTPUT0")
    assert best.tolist() == [[b"18:15", b"17:14"]], best
    assert "no version" in fails("NOT_FOUND", c.infer, "simple", inputs(client), model_version="9")
    assert "INPUT1" in fails("INVALID_ARGUMENT", c.infer, "simple", inputs(client)[:1])


def stream(c: client.InferenceServerClient) -> None:
    answers: queue.Queue = queue.Queue()
    c.start_stream(lambda result, error: answers.put((result, error)))
    for at in range(20):
        c.async_stream_infer("simple", inputs(client), request_id=str(at))
    c.async_stream_infer("simple", inputs(client)[:1], request_id="bad")
    c.async_stream_infer("simple", inputs(client), request_id="good")
    for at in range(20):
        result, error = answers.get(timeout=10)
        assert error is None
        assert result.get_response().id == str(at)
        check(result)
    result, error = answers.get(timeout=10)
    assert "INPUT1" in str(error)
    check(answers.get(timeout=10)[0])
    c.stop_stream()


def manage(c: client.InferenceServerClient) -> None:
    c.unload_model("simple")
    assert not c.is_model_ready("simple")
    c.load_model("simple")
    models = c.get_model_repository_index().models
    assert [(m.name, m.version, m.state) for m in models] == [("simple", "1", "READY")]
    assert "other" in fails("NOT_FOUND", c.load_model, "other")
    statistics = c.get_inference_statistics("simple", "1").model_stats[0]
    assert statistics.inference_stats.success.count >= 10
    assert c.get_trace_settings().settings["trace_level"].value == ["OFF"]
    changed = c.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"], "trace_rate": "1"})
    assert changed.settings["trace_rate"].value == ["1"]
    check(c.infer("simple", inputs(client)))
    c.update_trace_settings("simple", {"trace_rate": "5"})
    assert c.get_trace_settings("simple").settings["trace_rate"].value == ["5"]
    c.update_trace_settings(settings={"trace_level": ["OFF"]})
    assert c.get_log_settings().settings["log_info"].bool_param
    changed = c.update_log_settings({"log_verbose_level": 1})
    assert changed.settings["log_verbose_level"].uint32_param == 1
    c.update_log_settings({"log_verbose_level": 0})


def share(c: client.InferenceServerClient) -> None:
    given = shm.create_shared_memory_region("given", "/quaver_test_grpc_given", 128)
    taken = shm.create_shared_memory_region("taken", "/quaver_test_grpc_taken", 128)
    try:
        shm.set_shared_memory_region(given, [A, B])
        c.register_system_shared_memory("given", "/quaver_test_grpc_given", 128)
        c.register_system_shared_memory("taken", "/quaver_test_grpc_taken", 128)
        assert len(c.get_system_shared_memory_status().regions) == 2
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
        c.unregister_system_shared_memory("given")
        c.unregister_system_shared_memory()
        assert not c.get_system_shared_memory_status().regions
        assert not c.get_cuda_shared_memory_status().regions
        assert "CUDA" in fails(
            "INVALID_ARGUMENT", c.register_cuda_shared_memory, "g", b"MQ==", 0, 4
        )
        c.unregister_cuda_shared_memory()
    finally:
        shm.destroy_shared_memory_region(given)
        shm.destroy_shared_memory_region(taken)


with noting(client.InferenceServerClient)(f"127.0.0.1:{sys.argv[2]}") as connection:
    for part in (describe, infer, stream, manage, share):
        part(connection)
    expect_all_used(connection)
print("done")
