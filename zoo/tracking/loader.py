"""How `mlflow.pyfunc` loads a model with layers of a plugin: MLflow's own way, the plugin imported first.

Models of Keras's own layers do not name this module, and are loaded without zoo.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from zoo.training.saved import import_needs


def _load_pyfunc(path: str) -> Any:
    """Called by MLflow with the folder of the model."""
    import_needs(Path(path) / "data" / "model.keras")
    return import_module("mlflow.keras")._load_pyfunc(path)
