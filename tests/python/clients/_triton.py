"""What the programs that try tritonclient's ways share."""

from typing import Any

import numpy as np
import tritonclient.utils.shared_memory as shm
from tritonclient.utils import InferenceServerException

A = np.arange(16, dtype=np.int32).reshape(1, 16)
B = np.full((1, 16), 3, np.int32)


def inputs(client: Any, **how: Any) -> list[Any]:
    """Give the inputs of `simple`, as one of the client's modules has them."""
    made = []
    for name, array in (("INPUT0", A), ("INPUT1", B)):
        made.append(client.InferInput(name, [1, 16], "INT32"))
        made[-1].set_data_from_numpy(array, **how)
    return made


def check(result: Any) -> None:
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + B)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), A - B)


async def share(client: Any, c: Any, key: str) -> None:
    """Run `simple` on inputs in shared memory of this key, by one of the modules for asyncio."""
    given = shm.create_shared_memory_region("given", key, 128)
    try:
        shm.set_shared_memory_region(given, [A, B])
        await c.register_system_shared_memory("given", key, 128)
        status = await c.get_system_shared_memory_status("given")
        assert "given" in str(status)
        sources = [client.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
        for at, source in enumerate(sources):
            source.set_shared_memory("given", 64, offset=64 * at)
        check(await c.infer("simple", sources))
        await c.unregister_system_shared_memory("given")
    finally:
        shm.destroy_shared_memory_region(given)


def noting(kind: type) -> type:
    """Give a kind of client whose objects note what of them is used."""

    class Noting(kind):
        def __init__(self, *given: Any, **named: Any) -> None:
            self._used: set[str] = set()
            super().__init__(*given, **named)

        def __getattribute__(self, name: str) -> Any:
            if not name.startswith("_"):
                self._used.add(name)
            return super().__getattribute__(name)

    return Noting


def expect_all_used(client: Any) -> None:
    """Expect of a client that notes that each of its methods was used, but for its end."""
    methods = {name for name in dir(client) if not name.startswith("_")}
    assert methods - client._used <= {"close"}, methods - client._used


def fails(status: str, function: Any, *arguments: Any, **named: Any) -> str:
    """Call what must fail with a status; give the message."""
    try:
        function(*arguments, **named)
    except InferenceServerException as error:
        assert status in str(error.status()), error
        return error.message()
    raise AssertionError("no error")
