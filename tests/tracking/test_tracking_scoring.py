"""MLflow's scoring server for a model that is loaded already."""

from __future__ import annotations

import json

import mlflow
import numpy as np
import pytest
from shared_tools import ask

from zoo.tracking import scoring_server


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The arrays that the function of `score` gets."""
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")  # MLflow sets it; it is removed again
    return []


def score(received: list[object], kind: str, body: str) -> tuple[int, object]:
    def predict(data: object) -> object:
        received.append(data)
        return np.full((2, 3), 0.5)

    status, _, answer = ask(
        scoring_server(predict), "POST", "/invocations", {"content-type": kind}, body.encode()
    )
    return status, answer


def test_arrays_reach_the_function(received: list[object]) -> None:
    answer = score(received, "application/json", json.dumps({"inputs": [[1, 2], [3, 4]]}))
    assert answer == (200, {"predictions": [[0.5] * 3] * 2})
    np.testing.assert_array_equal(received[0], [[1, 2], [3, 4]])


def test_tables_reach_the_function_as_arrays(received: list[object]) -> None:
    status, answer = score(received, "text/csv", "a,b\n1,2\n3,4\n")
    assert (status, answer) == (200, {"predictions": [{"0": 0.5, "1": 0.5, "2": 0.5}] * 2})
    np.testing.assert_array_equal(received[0], [[1, 2], [3, 4]])


def test_server_is_mlflows_own(received: list[object]) -> None:
    application = scoring_server(lambda data: data)
    assert {route.path for route in application.routes} >= {"/ping", "/health", "/version", "/invocations"}
    assert ask(application, "GET", "/version")[2] == mlflow.__version__
