"""Running models: from a request to its answer, whatever carries it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

import quaver
from quaver.errors import Error
from quaver.serve import logs
from quaver.serve.aside import LONG
from quaver.serve.batching.job import DEFAULT_PRIORITY, Job, Outcome
from quaver.serve.classify import classify
from quaver.serve.errors import ServeError, bad_request
from quaver.serve.models.served import ServedModel
from quaver.serve.protocol.datatypes import (
    Buffer,
    array_from,
    buffer_of,
    datatype_of,
    dtype_of,
    texts,
)
from quaver.serve.protocol.known import Known
from quaver.serve.protocol.request import (
    InferRequest,
    InferResponse,
    Output,
    Parameters,
    Tensor,
    Wanted,
    count_of,
    strings_in,
)
from quaver.serve.stats import Note

if TYPE_CHECKING:
    from quaver.serve.service import Service

_now = time.perf_counter_ns

Result = TypeVar("Result")
Guard = Callable[[Coroutine[Any, Any, Outcome]], Awaitable[Outcome]]


class Inference:
    """Runs the models of a server, and counts what it runs."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def infer(
        self,
        request: InferRequest,
        started: int,
        deadline: float | None = None,
        guard: Guard | None = None,
    ) -> InferResponse:
        """Run a model.

        Parameters
        ----------
        request
            The request, entered.
        started
            When it came, in nanoseconds of `time.perf_counter_ns`.
        deadline
            When it is too late to begin, in seconds of the loop's clock.
        guard
            Waits for a run that has to wait; may end it where nobody wants it any more.

        Raises
        ------
        ServeError
            If it is refused or fails.
        """
        model = self._service.repository.get(request.model)
        try:
            tensors = self._tensors(model, request.inputs)
            arrays = await self._in_turns(sum(t.strings for t in tensors), _arrays, tensors)
            wanted = _wanted(model, request.outputs)
            job = Job(model.track(request.version), arrays, started=started)
            outputs, version = await self._run(model, job, request.parameters, deadline, guard)
            response = await self._response(model, request, outputs, version, wanted)
        except ServeError:
            self._count_failure(model, started)
            raise
        self._count_run(model, version, job)
        return response

    def answer_now(
        self,
        model: ServedModel,
        known: Known,
        body: Buffer,
        start: int,
        *,
        version: str,
        started: int,
    ) -> tuple[bytes, int] | None:
        """Answer a request that is known, at once, if its run is known to be short.

        None where it has to wait, for its turn or for what `enter` says.

        Parameters
        ----------
        model
            The model.
        known
            What is known of the request.
        body, start
            The request, and where its head ends.
        version
            The version asked for; empty for the current one.
        started
            When it came, in nanoseconds of `time.perf_counter_ns`.

        Returns
        -------
        tuple
            The answer's bytes, and the number of the version that gave it.

        Raises
        ------
        ServeError
            If it fails.
        """
        service = self._service
        runs = known.runs
        if runs is None:
            runs = known.runs = service.scheduler.runs(model.name, known.shapes)
        if (
            known.timed
            or service.draining
            or service.active >= service.most
            or not service.scheduler.may_run_now(model.name, runs, service.alone)
        ):
            return None
        ready = _now()
        try:
            answered = model.track(version).answer(body, start, known.layout, known.frames)
        except Exception as error:
            self._count_failure(model, started)
            raise _refusal(error) from error
        if answered is not None:
            now = _now()
            runs.record(now - ready)
            note = (now - started, ready - started, 0, now - ready, known.rows, known.rows)
            service.stats.of(model.name, answered[1]).succeeded(note)
            if service.tracing.active:
                self._trace(model.name, answered[1], note, known.shapes, started)
        return answered

    async def run(
        self,
        model: ServedModel,
        version: str,
        arrays: Sequence[NDArray[Any]],
        parameters: Parameters,
        *,
        started: int,
        deadline: float | None = None,
        guard: Guard | None = None,
    ) -> Outcome:
        """Run a model on arrays that fit it, in its order; otherwise as `infer`."""
        try:
            job = Job(model.track(version), arrays, started=started)
            outcome = await self._run(model, job, parameters, deadline, guard)
        except ServeError:
            self._count_failure(model, started)
            raise
        self._count_run(model, outcome[1], job)
        return outcome

    async def _run(
        self,
        model: ServedModel,
        job: Job,
        parameters: Parameters,
        deadline: float | None,
        guard: Guard | None,
    ) -> Outcome:
        if parameters:
            job.priority = count_of(parameters, "priority") or DEFAULT_PRIORITY
            timeout = count_of(parameters, "timeout")
            if timeout:
                passed = (_now() - job.started) / 1e9
                due = asyncio.get_running_loop().time() - passed + timeout / 1e6
                deadline = due if deadline is None else min(deadline, due)
        try:
            outcome = None
            if deadline is None or asyncio.get_running_loop().time() < deadline:
                outcome = self._service.scheduler.run_now(model, job, self._service.alone)
            if outcome is None:
                job.deadline = deadline
                waiting = self._service.scheduler.run(model, job)
                outcome = await (guard(waiting) if guard else waiting)
        except Exception as error:
            raise _refusal(error) from error
        return outcome

    def _count_run(self, model: ServedModel, version: int, job: Job) -> None:
        total = _now() - job.started
        ready = job.enqueued - job.started + job.gathered
        note = Note(total, ready, job.waited, job.computed, job.rows, job.batch)
        self._service.stats.of(model.name, version).succeeded(note)
        if self._service.tracing.active:
            self._trace(model.name, version, note, job.shapes, job.started)

    def _trace(
        self,
        model: str,
        version: int,
        note: tuple[int, ...],
        shapes: tuple[Any, ...],
        started: int,
    ) -> None:
        if self._service.tracing.wants(model):
            _trace(model, version, Note(*note), shapes, started)

    def _count_failure(self, model: ServedModel, started: int) -> None:
        self._service.stats.of(model.name, model.default).failed(_now() - started)

    async def _in_turns(
        self, size: int, function: Callable[..., Result], *arguments: Any
    ) -> Result:
        """What a function gives that goes through so many bytes of strings."""
        if size < LONG:
            return function(*arguments)
        return await self._service.aside.in_turns(function, *arguments)

    def _tensors(self, model: ServedModel, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The inputs in the model's order, as it takes them."""
        by_name = {tensor.name: tensor for tensor in inputs}
        names = [port.name for port in model.inputs]
        if len(by_name) != len(inputs):
            raise bad_request("an input is given twice")
        for name in by_name:
            if name not in names:
                raise bad_request(f"there is no input {name!r}; there is {', '.join(names)}")
        missing = [name for name in names if name not in by_name]
        if missing:
            raise bad_request(f"missing input {', '.join(map(repr, missing))}")
        for port in model.inputs:
            self._complete(port, by_name[port.name])
        return [by_name[name] for name in names]

    def _complete(self, port: quaver.Port, tensor: Tensor) -> None:
        fits = len(tensor.shape) == len(port.shape) and all(
            dim is None or dim == size for dim, size in zip(port.shape, tensor.shape, strict=True)
        )
        expected = datatype_of(port.dtype)
        if tensor.datatype != expected or not fits:
            shape = [-1 if dim is None else dim for dim in port.shape]
            raise bad_request(
                f"input {port.name!r}: expected {expected}{shape}, got "
                f"{tensor.datatype}{list(tensor.shape)}"
            )
        if tensor.array is None and tensor.data is None:
            self._service.expect_shared_memory()
            tensor.take(self._service.regions.read(tensor.parameters), port.dtype)

    async def _response(
        self,
        model: ServedModel,
        request: InferRequest,
        arrays: Sequence[NDArray[Any]],
        version: int,
        wanted: Sequence[tuple[int, Wanted]],
    ) -> InferResponse:
        outputs = []
        for at, want in wanted:
            array = arrays[at]
            if want.classes:
                array = await self._in_turns(array.nbytes, classify, want.name, array, want.classes)
            if "shared_memory_region" in want.parameters:
                self._service.expect_shared_memory()
                data = await self._in_turns(strings_in([array]), buffer_of, array)
                self._service.regions.write(want.parameters, data)
            outputs.append(Output(want.name, array, want))
        return InferResponse(model.name, version, request.id, outputs)


def _arrays(tensors: Sequence[Tensor]) -> list[NDArray[Any]]:
    """The contents of tensors, as models take them."""
    return [_array(tensor) for tensor in tensors]


def _array(tensor: Tensor) -> NDArray[Any]:
    array = tensor.array
    if array is None:
        assert tensor.data is not None
        array = array_from(tensor.name, tensor.data, dtype_of(tensor.datatype), tensor.shape)
    return texts(tensor.name, array) if array.dtype == object else array


def _wanted(model: ServedModel, asked: Sequence[Wanted]) -> list[tuple[int, Wanted]]:
    """The outputs asked for, with their places among the model's."""
    if not asked:
        return [(at, Wanted(port.name)) for at, port in enumerate(model.outputs)]
    places = {port.name: at for at, port in enumerate(model.outputs)}
    for want in asked:
        if want.name not in places:
            raise bad_request(f"there is no output {want.name!r}; there is {', '.join(places)}")
    return [(places[want.name], want) for want in asked]


def _refusal(error: Exception) -> Exception:
    """What the client is told where a run fails."""
    if isinstance(error, Error) and not isinstance(error, ServeError):
        return bad_request(str(error))
    if isinstance(error, MemoryError):
        return ServeError(503, "there is not enough memory for this request")
    return error


def _trace(model: str, version: int, note: Note, shapes: tuple[Any, ...], started: int) -> None:
    logs.event(
        "error" if not logs.enabled("info") else "info",
        "trace",
        model=model,
        version=version,
        started_ns=started,
        input_ns=note.input,
        queue_ns=note.queue,
        compute_ns=note.compute,
        total_ns=note.total,
        shapes=shapes,
    )
