"""The images in the body of a request: an image file, a form with files, or JSON with base64."""

from __future__ import annotations

import base64
import json
import re
from email.message import Message
from email.parser import HeaderParser
from typing import Any

from zoo.errors import ZooError, one_line

PostedImage = tuple[str | int, bytes]  # file name, or the number of the image in the request; content

_MAX_IMAGES = 1000  # in one request
_DATA_URL = re.compile(r"data:[^,]*;base64,")


class RequestError(ZooError):
    """The reason to refuse a request, with the HTTP status."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


def posted_images(content_type: str, body: bytes) -> list[PostedImage] | None:
    """Return the images in a body; None if it has a format that MLflow reads.

    Raises:
        RequestError: the body has an image format, but no image or too many.
    """
    header = Message()
    header["Content-Type"] = content_type
    kind = header.get_content_type()
    images: list[PostedImage] | None = None
    if header.get_content_maintype() == "image":
        images = [(0, body)]
    elif kind == "multipart/form-data":
        images = _files_in_form(body, str(header.get_param("boundary", "")))
    elif kind == "application/json" and b'"image' in body:
        images = _images_in_json(body)
    if images is not None and len(images) > _MAX_IMAGES:
        raise RequestError(f"the request has more than {_MAX_IMAGES:,} images; send several requests.")
    return images


def _files_in_form(body: bytes, boundary: str) -> list[PostedImage]:
    """Return the files in a form (RFC 7578)."""
    delimiter = b"\r\n--" + boundary.encode("latin-1", "replace")
    # The text before the first delimiter is not a part. The limit of splits bounds the memory.
    parts = (b"\r\n" + body).split(delimiter, 2 * _MAX_IMAGES)[1:]
    if not boundary or not parts:
        raise RequestError("the form cannot be read: expected parts with the boundary of its Content-Type.")
    images: list[PostedImage] = []
    for part in parts:
        headers, _, content = part.partition(b"\r\n\r\n")
        name = HeaderParser().parsestr(headers.decode("utf-8", "replace").strip()).get_filename()
        if name:
            images.append((name, content))
    if not images:
        raise RequestError(
            "the form has no file; expected a field with a file, as `curl -F image=@FILE` sends it."
        )
    return images


def _images_in_json(body: bytes) -> list[PostedImage] | None:
    """Return the images of `{"image": BASE64}` or `{"images": [BASE64, …]}`; None for another document."""
    try:
        document = json.loads(body, strict=False)  # base64 may have line breaks
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not JSON: {one_line(error)}") from None
    if not isinstance(document, dict) or not {"image", "images"} & document.keys():
        return None
    texts = [document["image"]] if "image" in document else document["images"]
    if len(document) > 1 or not isinstance(texts, list) or not texts:
        raise RequestError('expected {"image": BASE64} or {"images": [BASE64, …]} and no other key.')
    return [(number, _decode(number, text)) for number, text in enumerate(texts)]


def _decode(number: int, text: Any) -> bytes:
    """Return the bytes of a base64 text, which may have line breaks or be a `data:` URL."""
    try:
        return base64.b64decode(_DATA_URL.sub("", "".join(text.split()), count=1), validate=True)
    except (ValueError, AttributeError):
        raise RequestError(f"image {number} is not a base64 text.") from None
