"""The page at `/`: a form for an image, and the probabilities of its classes."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from zoo.models import Classifier

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def render_page(classifier: Classifier, address: str, max_request_mb: int) -> str:
    """Return the page as HTML, with its style and script."""
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    text = files("zoo.serving").joinpath("page.html.jinja").read_text(encoding="utf-8")
    height, width, channels = classifier.model.input_shape[1:]
    return environment.from_string(text).render(
        name=classifier.name,
        classes=classifier.class_names,
        size=f"{width}×{height}",
        channels=channels,
        address=address,
        max_request_mb=max_request_mb,
    )
