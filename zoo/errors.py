"""The errors zoo raises on purpose.

ZooError               something a person can put right; the command line shows it as one line
├── InvalidParameters  raised by a plugin: this combination is impossible, prune the trial
├── SpaceError         a search space, or a value for it, is not what it may be
├── StudyError         a study file says something it may not say
├── PluginError        a plugin broke the contract; names its distribution and version
├── DataError          a dataset cannot be read, or is not what it should be
├── ModelError         a saved model cannot be loaded
└── ManifestError      a study was resumed after what it searches had changed
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches


class ZooError(Exception):
    """Something a person can put right: what happened, what was expected, what to type next."""


class InvalidParameters(ZooError):
    """An impossible combination of parameters; raised by a plugin to have the trial pruned."""


class SpaceError(ZooError):
    """A search space, or a value meant for one, is not what it may be."""


class StudyError(ZooError):
    """A study file says something it may not say."""


class PluginError(ZooError):
    """A plugin broke the contract."""


class DataError(ZooError):
    """A dataset cannot be read, or is not what it should be."""


class ModelError(ZooError):
    """A saved model cannot be loaded."""


class ManifestError(ZooError):
    """A study was resumed after what it searches had changed."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown `name`: the likely spelling, or all there is."""
    known = sorted(known)
    spellings = {_folded(one): one for one in known}
    close = get_close_matches(_folded(name), spellings, n=1, cutoff=0.6)
    if close:
        return f"Did you mean '{spellings[close[0]]}'?"
    return f"There is: {', '.join(known)}." if known else "There is none."


def one_line(text: object) -> str:
    """`text` without its line breaks; whatever it is, and whatever its `str` does."""
    try:
        return " ".join(str(text).split())
    except Exception as error:
        return f"(its text cannot be had: {type(error).__name__})"


def portable(error: ZooError, kind: type[ZooError] = ZooError) -> ZooError:
    """Return an error that can be sent to another process: `error` itself, or a `kind` with its text.

    A subclass that a plugin defines might not unpickle where the plugin is not imported.
    """
    return error if type(error).__module__ == __name__ else kind(str(error))


def redact_password(text: str) -> str:
    """Return `text` with the password of every URL in it replaced: `postgresql://me:***@host/db`."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", text)


def _folded(name: str) -> str:
    """Without what people mix up first: capitals, and `-` for `_`."""
    return name.casefold().replace("-", "_")
