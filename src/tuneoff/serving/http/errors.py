"""Errors as OpenAI's API writes them: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from tuneoff.errors import (
    DataError,
    ModelError,
    QueueFullError,
    RequestError,
    RunError,
    TooLongError,
    UnknownArmError,
)

log = logging.getLogger(__name__)
RETRY_SECONDS = 1  # after which a client that was refused may try again


class ApiError(Exception):
    """An answer other than success.

    Args:
        param: the option of the request that is at fault, if one is.
        code: a word for programs.
    """

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code

    @property
    def body(self) -> dict[str, Any]:
        """The error as JSON."""
        kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(
            self.status, "invalid_request_error" if self.status < 500 else "server_error"
        )
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}

    @property
    def response(self) -> JSONResponse:
        """The error as a response of its own."""
        headers = {"Retry-After": str(RETRY_SECONDS)} if self.status in {429, 503} else {}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(self.body, self.status, headers)


def explain(error: BaseException) -> ApiError:
    """Return the answer to an error. What is nobody's known mistake is logged, and not shown."""
    match error:
        case ApiError():
            return error
        case UnknownArmError():
            return ApiError(404, str(error), param="model", code="model_not_found")
        case TooLongError():
            return ApiError(400, str(error), code="context_length_exceeded")
        case QueueFullError():
            return ApiError(429, str(error), code="queue_full")
        case RequestError() | DataError() | RunError() | ModelError():
            return ApiError(400, str(error))
        case TimeoutError():
            return ApiError(504, "The request took longer than the server allows.", code="timeout")
        case HTTPException():
            return ApiError(
                error.status_code, f"{error.detail}.", code="not_found" if error.status_code == 404 else None
            )
    log.error("A request failed", exc_info=error)
    return ApiError(500, "The server failed on this request. Its log says why.", code="internal_error")


async def answer_error(_: Request, error: Exception) -> JSONResponse:
    """Answer a request that raised."""
    return explain(error).response
