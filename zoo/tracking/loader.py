"""The pyfunc loader of models with plugin layers: it imports the plugin, then calls MLflow's loader.

The file `MLmodel` of such a model names this module, so this module cannot be renamed. Models with only
Keras's own layers name MLflow's loader, and are loaded without zoo.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from zoo.training.saved import import_required_modules


def _load_pyfunc(path: str) -> Any:
    """Load the model in the folder `path`. MLflow calls its loader modules by this name."""
    import_required_modules(Path(path) / "data" / "model.keras")
    return import_module("mlflow.keras")._load_pyfunc(path)
