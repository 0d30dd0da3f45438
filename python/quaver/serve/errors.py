"""What goes wrong with a request, as HTTP and gRPC say it."""

from __future__ import annotations

import reprlib
import traceback
import uuid
from collections.abc import Callable

from quaver.errors import Error
from quaver.serve import logs

#: gRPC's status for each of HTTP's that the server answers with.
GRPC_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    413: "RESOURCE_EXHAUSTED",
    415: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

_LONGEST = 1000  # characters of a message: what it cites is a client's, and may be any length


class ServeError(Error):
    """A request that is refused, or that failed.

    Parameters
    ----------
    status
        HTTP's status; gRPC's follows from it.
    message
        A sentence for the client.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message if len(message) <= _LONGEST else f"{message[:_LONGEST]} …")
        self.status = status

    def __reduce__(self) -> tuple[type[ServeError], tuple[int, str]]:
        return ServeError, (self.status, str(self))

    @property
    def grpc_status(self) -> str:
        """The name of gRPC's status."""
        return GRPC_STATUS[self.status]


def _let_go(error: BaseException) -> None:
    """Let an error keep nothing of the request that it came of.

    The frames that it passed hold arrays and bodies, and what holds the error: all would stay until
    garbage is searched for.
    """
    each: BaseException | None = error
    while each is not None and each.__traceback__ is not None:  # one may be its own cause
        traceback.clear_frames(each.__traceback__)
        each.__traceback__ = None
        each = each.__cause__ or each.__context__


def refusal(error: Exception, request_id: Callable[[], str] = str) -> ServeError:
    """What a client is told of an error. The request is let go of.

    Of a bug a client learns only by what id the log tells of it.

    Parameters
    ----------
    error
        What a request came to.
    request_id
        Gives the request's id; empty where it has none, and is given one.
    """
    if isinstance(error, ServeError):
        _let_go(error)
        return error
    number = request_id() or uuid.uuid4().hex
    logs.event("error", "bug", id=number, error=named(error), traceback=where(error))
    _let_go(error)
    return ServeError(500, f"an error inside the server; its log tells of it as {number!r}")


def named(error: BaseException) -> str:
    """An error's type and what it says."""
    return f"{type(error).__name__}: {error}"


def where(error: BaseException) -> str:
    """Where an error came from, for the log alone."""
    return "".join(traceback.format_exception(error))


def shown(value: object) -> str:
    """A value out of a request's JSON, for a message; what is deep or long only in part."""
    return reprlib.repr(value)


def bad_request(message: str) -> ServeError:
    """A request that breaks the protocol or does not fit the model."""
    return ServeError(400, message)


def not_found(message: str) -> ServeError:
    """A model, version or region that is not there."""
    return ServeError(404, message)
