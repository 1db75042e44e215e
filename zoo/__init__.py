"""Search for image classifiers, and keep a complete record of each search.

`__all__` lists the public names: those for plugin authors, then those for notebooks and scripts.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from zoo._version import __version__
from zoo.errors import ImageError, InvalidParameters, ZooError
from zoo.space import Choice, Float, Int, List, Setting, variant

if TYPE_CHECKING:
    from zoo import inspection as inspect
    from zoo import testing
    from zoo.data import (
        IMAGE_SUFFIXES,
        SPLIT_WORDS,
        Dataset,
        ImageDecoder,
        Split,
        Table,
        height_and_width,
        hold_out_groups,
        is_image,
        natural_key,
        progress,
        read_image,
        read_tables,
        reads,
        to_images,
        to_labels,
    )
    from zoo.drafting import init
    from zoo.evaluation import evaluate
    from zoo.hookspecs import architecture, augmentation, dataset, hookimpl, metric
    from zoo.models import Classifier, list_models, load_model, promote
    from zoo.results import tune
    from zoo.tracking import compare
    from zoo.tuning import confirm, dry_run, train

__all__ = [
    "architecture", "dataset", "augmentation", "metric", "hookimpl", "Int", "Float", "Choice", "List",
    "Setting", "variant", "Dataset", "Split", "reads", "progress", "read_image", "is_image",
    "IMAGE_SUFFIXES", "SPLIT_WORDS", "ImageDecoder", "height_and_width", "ImageError", "Table",
    "read_tables", "natural_key", "to_images", "to_labels", "hold_out_groups", "InvalidParameters",
    "ZooError", "testing",
    "init", "tune", "dry_run", "train", "confirm", "evaluate", "compare", "inspect", "load_model",
    "list_models", "promote", "Classifier", "__version__",
]  # fmt: skip

# These names are imported on first use, so that `import zoo` and `zoo --help` load neither Keras nor MLflow.
_LAZY_MODULES = {"testing": "zoo.testing", "inspect": "zoo.inspection"}
_LAZY_NAMES = {
    "zoo.hookspecs": ["architecture", "dataset", "augmentation", "metric", "hookimpl"],
    "zoo.data": [
        *("Dataset", "Split", "reads", "progress", "read_image", "is_image", "IMAGE_SUFFIXES", "SPLIT_WORDS"),
        *("ImageDecoder", "height_and_width"),
        *("Table", "read_tables", "natural_key", "to_images", "to_labels", "hold_out_groups"),
    ],
    "zoo.drafting": ["init"],
    "zoo.results": ["tune"],
    "zoo.tuning": ["train", "confirm", "dry_run"],
    "zoo.evaluation": ["evaluate"],
    "zoo.tracking": ["compare"],
    "zoo.models": ["load_model", "list_models", "promote", "Classifier"],
}


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return importlib.import_module(_LAZY_MODULES[name])
    for module, names in _LAZY_NAMES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'zoo' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
