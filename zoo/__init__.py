"""zoo: search for a good image classifier, and trust the record of how it was found.

For plugin authors: `hookimpl`, `Int`, `Float`, `Choice`, `List`, `Setting`, `variant`, `Dataset`, `Split`,
`reads`, `progress`, `InvalidParameters`, `ZooError`, `testing`. For notebooks and scripts: `tune`,
`train`, `evaluate`, `compare`, `inspect`, `load_model`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from zoo._version import __version__
from zoo.errors import InvalidParameters, ZooError
from zoo.space import Choice, Float, Int, List, Setting, variant

if TYPE_CHECKING:
    from zoo import inspection as inspect
    from zoo import testing
    from zoo.data import Dataset, Split, progress, reads
    from zoo.evaluation import evaluate
    from zoo.hookspecs import hookimpl
    from zoo.models import load_model
    from zoo.tracking import compare
    from zoo.tuning import train, tune

__all__ = [
    "hookimpl", "Int", "Float", "Choice", "List", "Setting", "variant", "Dataset", "Split", "reads",
    "progress", "InvalidParameters", "ZooError", "testing", "tune", "train", "evaluate", "compare",
    "inspect", "load_model", "__version__",
]  # fmt: skip

_ROOMS = {"testing": "zoo.testing", "inspect": "zoo.inspection"}
_WHERE = {
    "hookimpl": "zoo.hookspecs",
    "Dataset": "zoo.data",
    "Split": "zoo.data",
    "reads": "zoo.data",
    "progress": "zoo.data",
    "tune": "zoo.tuning",
    "train": "zoo.tuning",
    "evaluate": "zoo.evaluation",
    "compare": "zoo.tracking",
    "load_model": "zoo.models",
}


def __getattr__(name: str) -> Any:
    """Import on first use what is not needed to say `zoo --help`."""
    if name in _ROOMS:
        return importlib.import_module(_ROOMS[name])
    if name in _WHERE:
        value = getattr(importlib.import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'zoo' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
