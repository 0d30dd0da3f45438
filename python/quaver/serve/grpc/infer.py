"""The way of a request to run a model, from a message's bytes to those of its answer."""

from __future__ import annotations

import asyncio

from quaver.serve.aside import LONG
from quaver.serve.models.served import ServedModel
from quaver.serve.protocol import grpc_tensors
from quaver.serve.protocol.known import LONGEST, Known, remember
from quaver.serve.protocol.request import InferRequest
from quaver.serve.service import Service

Seen = tuple[ServedModel | None, Known | None, bytes]
"""What is known of a message before it is read: the model, what was found out of its head, that."""


class _Guess:
    """What is known of messages that begin so, unless their model was unloaded since."""

    __slots__ = ("end", "known", "model", "seen", "start", "wire")

    def __init__(
        self, start: bytes, model: ServedModel, wire: object, known: Known, head: bytes
    ) -> None:
        self.start = start
        self.seen: Seen = (model, known, head)
        self.model, self.wire = model, wire
        self.known, self.end = known, len(head)


class Infer:
    """Answers requests to run a model."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._inference = service.inference
        self._repository = service.repository
        self._callers = service.callers
        self._bytes_in = service.stats.bytes_in
        self._bytes_out = service.stats.bytes_out
        self._guesses: dict[int, _Guess] = {}
        """By the length of a message."""

    def now(self, data: bytes, started: int) -> tuple[bytes | None, Seen]:
        """As calling it, where the request is known and its run short; else None, and what is seen.

        After each wait in the kernel code is slow, and calls in Python most: there are few here.
        """
        if self._callers.last is not None:
            self._callers.came(None, started)
        guess = self._guesses.get(len(data))
        if (
            guess is not None
            and data.startswith(guess.start)
            and guess.model.wire is guess.wire
            and guess.known.fits(data, guess.end)
        ):
            seen = guess.seen
        else:
            seen = self._look_up(data)
        model, known, head = seen
        if model is None or known is None:
            return None, seen
        answered = self._inference.answer_now(
            model, known, data, len(head), version=known.version, started=started
        )
        if answered is None:
            return None, seen
        answer = answered[0]
        self._bytes_in["grpc"] += len(data)
        self._bytes_out["grpc"] += len(answer)
        return answer, seen

    def _look_up(self, data: bytes) -> Seen:
        """What is known of a message."""
        head = data[: grpc_tensors.head_length(data)]
        model = self._repository.models.get(grpc_tensors.first_name(head))
        if model is None:
            return None, None, head
        known: Known | None = model.wire["grpc"].get(head)
        return model, known if known is not None and known.fits(data, len(head)) else None, head

    async def __call__(
        self, data: bytes, seen: Seen, started: int, left: float | None = None
    ) -> bytes:
        """Answer a ModelInferRequest with a ModelInferResponse, both as bytes.

        Parameters
        ----------
        data
            The request.
        seen
            What is known of it.
        started
            When it came, in nanoseconds of `time.perf_counter_ns`.
        left
            Seconds until it is too late to begin; None for any.

        Raises
        ------
        ServeError
            If it is refused or fails.
        """
        deadline = None if left is None else asyncio.get_running_loop().time() + left
        self._bytes_in["grpc"] += len(data)
        self._service.enter()
        try:
            self._service.room.take(len(data))
            try:
                answer = await self._answer(data, seen, started, deadline)
            finally:
                self._service.room.give(len(data))
        finally:
            self._service.leave()
        self._bytes_out["grpc"] += len(answer)
        return answer

    async def _answer(self, data: bytes, seen: Seen, started: int, deadline: float | None) -> bytes:
        model, known, head = seen
        end = len(head)
        if model is not None and known is not None:
            outputs, number = await self._inference.run(
                model,
                known.version,
                known.arrays(data, end),
                known.parameters,
                started=started,
                deadline=deadline,
            )
            return known.answer(number, outputs)[0]
        request = await self._parsed(data, end)
        wire = model.wire if model is not None else {}
        response = await self._inference.infer(request, started, deadline)
        if model is not None and model.name == request.model and 0 < end <= LONGEST:
            known = grpc_tensors.known_of(request, model.inputs, model.outputs, data[end:])
            if known is not None:
                remember(wire["grpc"], head, known)
                guess = _Guess(data[: end + 1], model, wire, known, head)
                remember(self._guesses, len(data), guess)
        if response.strings >= LONG:
            return await self._service.aside.in_turns(grpc_tensors.render, response)
        return grpc_tensors.render(response)

    async def _parsed(self, data: bytes, end: int) -> InferRequest:
        if end or len(data) < LONG:
            return grpc_tensors.parse(data)
        return await self._service.aside.call(grpc_tensors.parse, data)
