"""The errors that zoo raises on purpose, and helpers for their text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from zoo.redaction import redact


class ZooError(Exception):
    """A problem that the user can fix: what happened, what was expected, what to do next.

    The command line prints it without a traceback.

    Args:
        fix: parameters that the data determine, such as `{"scale": 255}`. `zoo init` sets them.
    """

    fix: Mapping[str, Any] = {}  # for subclasses in plugins that do not call this `__init__`

    def __init__(self, *args: object, fix: Mapping[str, Any] | None = None) -> None:
        super().__init__(*args)
        self.fix = dict(fix or {})

    def __str__(self) -> str:
        """Return the message without passwords."""
        return redact(super().__str__())


class InvalidParameters(ZooError):
    """An impossible combination of parameters; a plugin raises it to reject the trial."""


class SpaceError(ZooError):
    """A search space is invalid, or a value is outside of its search space."""


class StudyError(ZooError):
    """An invalid study file or option, or a study or trial that does not exist."""


class PluginError(ZooError):
    """A plugin that violates the contract; the message names its distribution and version."""


class DataError(ZooError):
    """A dataset that cannot be read or violates the contract."""


class ImageError(DataError):
    """An image file that cannot be read; `reason` says why, without the name of the file."""

    reason = ""


class ModelError(ZooError):
    """A saved model that cannot be loaded."""


class ManifestError(ZooError):
    """A study that cannot be resumed because its manifest changed."""


class RecordError(ZooError):
    """A file of the local record that is damaged; the message names the file, what is lost and what to do."""


def did_you_mean(name: str, available: Iterable[str]) -> str:
    """Return the last sentence of an error about an unknown `name`: the likely spelling, or all names.

    A name is likely if few letters differ, or if one name contains the other. Capital and small
    letters count as equal, and so do `-` and `_`.
    """
    names, normalized = sorted(available), _normalized(name)
    spellings = {_normalized(one): one for one in names}
    # With a lower cutoff, names that share a word would be similar: mnist_cnn and digits_cnn.
    close = get_close_matches(normalized, spellings, n=1, cutoff=0.7)
    if not close and len(normalized) > 1:
        close = [one for one in spellings if one in normalized or normalized in one]
    if close:
        return f"Did you mean '{spellings[close[0]]}'?"
    return f"Available: {', '.join(names)}." if names else "None available."


def listed(texts: Sequence[str], limit: int) -> str:
    """Return the first texts, and the number of those after `limit`: `a, b and 3 more`."""
    more = f" and {len(texts) - limit:,} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + more


def one_line(text: object) -> str:
    """Return `str(text)` without line breaks, terminal colors and passwords.

    If a plugin's `__str__` raises an error, it returns a text, too.
    """
    try:
        text = redact(str(text))
        return re.sub(r"\x1b\[[0-9;]*m", "", " ".join(str(text).split()))  # Keras writes some words in bold
    except Exception as error:
        return f"(no text: {type(error).__name__})"


def count_text(number: int, noun: str) -> str:
    """Return a number and its noun: `1 image`, or `12,345 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shape_text(shape: Sequence[int | None]) -> str:
    """Return the sides of an image, or the shape of an array: `28×28×3`."""
    return "×".join(map(str, shape))


def portable(error: ZooError, kind: type[ZooError] = ZooError) -> ZooError:
    """Return an error that can be sent to another process: `error` itself, or a `kind` with the same text.

    A subclass that a plugin defines may fail to unpickle in a process that has not imported the plugin.
    """
    return error if type(error).__module__ == __name__ else kind(str(error), fix=error.fix)


def _normalized(name: str) -> str:
    return name.casefold().replace("-", "_")
