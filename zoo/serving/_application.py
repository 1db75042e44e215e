"""The ASGI application: MLflow's scoring server, extended by images and a page.

This application answers the page and `POST /invocations` with images; MLflow answers all other requests.
All predictions, also those of MLflow, run in one thread, so that the model processes one request at a time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zoo.errors import ZooError, one_line
from zoo.models import Classifier
from zoo.serving._page import CONTENT_SECURITY_POLICY, render_page
from zoo.serving._posted import PostedImage, RequestError, posted_images
from zoo.serving._source import allowed_names, check_source
from zoo.tracking import scoring_server

_MB = 1_000_000
# MLflow's code for each HTTP status; BAD_REQUEST for any other status.
_ERROR_CODES = {403: "PERMISSION_DENIED", 404: "ENDPOINT_NOT_FOUND", 500: "INTERNAL_ERROR"}

_log = logging.getLogger(__name__)


def application(classifier: Classifier, *, host: str, address: str, max_request_mb: int) -> ASGIApp:
    """Return the application that serves a model.

    Args:
        host: the address on which the server listens.
        address: the URL of the server.
        max_request_mb: the largest accepted body, in megabytes.
    """
    return _Application(_Model(classifier), allowed_names(host), address, max_request_mb)


class _Model:
    """A classifier whose predictions run in one thread."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._image_shape = tuple(classifier.model.input_shape[1:])
        # The first prediction is slow, so it runs before the server starts.
        list(classifier.predictions(np.zeros((1, *self._image_shape), np.uint8)))

    async def classes(self, images: Sequence[PostedImage], top: int | None) -> list[dict[str, Any]]:
        """Return a JSON object for each image: its name, and the `top` classes with their probabilities."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._classes, images, top)

    def _classes(self, images: Sequence[PostedImage], top: int | None) -> list[dict[str, Any]]:
        documents = []
        predictions = self.classifier.predictions([content for _, content in images])
        for (name, _), prediction in zip(images, predictions, strict=True):
            if prediction.probabilities is None:
                subject = f"'{name}'" if isinstance(name, str) else f"image {name}"
                raise RequestError(f"{subject} cannot be read: {prediction.problem}")
            best = self.classifier.top_classes(prediction, top or len(self.classifier.class_names))
            classes = [{"class": name, "probability": probability} for name, probability in best]
            documents.append({"image": name, "classes": classes})
        return documents

    def scores(self, pixels: Any) -> Any:
        """Return the probabilities for pixels in a format of MLflow. In a table, each row is an image."""
        return self._thread.submit(self._scores, pixels).result()

    def _scores(self, pixels: Any) -> Any:
        if getattr(pixels, "ndim", 0) == 2 and pixels.shape[1] == math.prod(self._image_shape):
            pixels = pixels.reshape(-1, *self._image_shape)
        return self.classifier.model.predict(pixels, verbose=0)


class _Application:
    def __init__(self, model: _Model, names: frozenset[str], address: str, max_request_mb: int) -> None:
        self._model = model
        self._names = names
        self._max_request_mb = max_request_mb
        page = render_page(model.classifier, address, max_request_mb)

        async def show_page(request: Request) -> Response:
            return HTMLResponse(page, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

        mlflow = scoring_server(model.scores)
        external_scripts = (mlflow.docs_url, mlflow.redoc_url)  # pages that load scripts from other sites
        routes = [route for route in mlflow.router.routes if route.path not in external_scripts]
        mlflow.router.routes[:] = [Route("/", show_page), *routes]
        self._mlflow: ASGIApp = mlflow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._mlflow(scope, receive, send)
            return
        with suppress(ClientDisconnect, asyncio.CancelledError):  # client disconnected, or server stops
            await self._respond(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, with an error if necessary."""
        request = Request(scope, receive)
        body = b""
        try:
            check_source(request.headers, self._names)
            body = await self._body(request)
            response = await self._answer(request, body)
        except ClientDisconnect:
            raise
        except ZooError as error:
            response = _problem(getattr(error, "status", 400), str(error))
        except Exception as error:  # raised by the model, such as by a layer of a plugin
            response = _problem(500, _log_error(error))
        try:
            if response is None:
                await self._mlflow(scope, _replay(body, receive), _unify_errors(scope, receive, send))
            else:
                await response(scope, receive, send)
        except Exception as error:  # MLflow has already answered with status 500
            _log_error(error)

    async def _body(self, request: Request) -> bytes:
        """Return the body; raise RequestError if it is too large.

        A body that is too large is read and discarded, because many clients read the answer only
        after they have sent everything.
        """
        chunks: list[bytes] = []
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > self._max_request_mb * _MB:
                chunks.clear()
            else:
                chunks.append(chunk)
        if size > self._max_request_mb * _MB:
            raise RequestError(
                f"the request has more than {self._max_request_mb} MB; send a smaller one, or start "
                "`zoo serve` with a larger --max-request-mb.",
                413,
            )
        return b"".join(chunks)

    async def _answer(self, request: Request, body: bytes) -> Response | None:
        """Return the answer to a request with images; None if MLflow answers the request."""
        if (request.method, request.scope["path"]) != ("POST", "/invocations"):
            return None
        content_type = request.headers.get("content-type")
        if content_type is None:
            raise RequestError("the request has no Content-Type; expected image/… or application/json.", 415)
        images = posted_images(content_type, body)
        if images is None:
            return None
        top = request.query_params.get("top")
        if top is not None and not re.fullmatch(r"[1-9]\d{0,8}", top):
            raise RequestError(f"top: expected an integer >= 1, got '{top}'")
        return JSONResponse({"predictions": await self._model.classes(images, int(top) if top else None)})


def _log_error(error: Exception) -> str:
    """Log an unexpected error in one line, and return the line."""
    text = f"{type(error).__name__}: {one_line(error)}"
    _log.error("the request failed: %s", text)
    return text


def _problem(status: int, text: str) -> Response:
    """Return an answer in the form of MLflow's errors."""
    code = _ERROR_CODES.get(status, "BAD_REQUEST")
    return JSONResponse({"error_code": code, "message": one_line(text)}, status)


def _unify_errors(scope: Scope, receive: Receive, send: Send) -> Send:
    """Return a `send` that converts errors of another form, such as FastAPI's, into MLflow's form."""
    start: Message = {}
    chunks: list[bytes] = []

    async def send_or_collect(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            start.update(message)
        elif not start:
            await send(message)
        else:
            chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                text = b"".join(chunks).decode("utf-8", "replace")
                await _in_mlflow_form(start, text)(scope, receive, send)

    return send_or_collect


def _in_mlflow_form(start: Message, text: str) -> Response:
    """Return an error in the form of MLflow's errors, with the header `Allow` of status 405."""
    document: Any = text
    with suppress(ValueError):
        document = json.loads(text)
    if isinstance(document, dict) and "error_code" in document:
        response: Response = JSONResponse(document, start["status"])
    else:
        detail = document["detail"] if isinstance(document, dict) and "detail" in document else text
        response = _problem(start["status"], str(detail))
    for name, value in start["headers"]:
        if name.lower() == b"allow":
            response.headers["Allow"] = value.decode("latin-1")
    return response


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives `body`, which was read before, and then continues with `receive`."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
