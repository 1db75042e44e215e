"""MLflow's scoring server, for a model that is loaded already."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from zoo.tracking._connection import preload


def scoring_server(predict: Callable[[Any], Any]) -> Any:
    """Return MLflow's scoring server, a FastAPI application: /invocations, /ping, /health, /version.

    Args:
        predict: a function that calls a Keras model on arrays and returns arrays; called in several threads.
    """
    preload()
    from mlflow.keras.load import KerasModelWrapper
    from mlflow.models import Model
    from mlflow.pyfunc import PyFuncModel, scoring_server

    model = KerasModelWrapper(SimpleNamespace(predict=predict), signature=None)
    return scoring_server.init(PyFuncModel(Model(), model))
