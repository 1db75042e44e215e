"""The list of registered models, and finding one; MLflow is replaced."""

from __future__ import annotations

import math

import pytest

import zoo
from zoo import tracking
from zoo.models import find_registered, model_facts
from zoo.tracking import ModelVersion, TrackingError


def version(name, number, **metrics):
    tags = {"zoo.kind": "trial", "zoo.trial": "4", "zoo.study": name, "zoo.dataset.digest": "d"}
    params = {"dataset": name.partition("_")[0], "architecture": "conv_net"}
    aliases = ["champion"] if number == 1 else []
    return ModelVersion(
        name, number, f"models:/m-{number}", aliases=aliases, tags=tags, params=params, metrics=metrics
    )


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    versions = [
        version("cifar_cnn", 1, test_accuracy=0.7, parameters=9000.0),
        version("mnist_cnn", 2, test_accuracy=0.99, parameters=5000.0),
        version("mnist_cnn", 1, test_accuracy=0.98, parameters=2000.0),
        ModelVersion("theirs", 1, "s3://bucket"),
    ]

    def registered(store, pattern):
        return [one for one in versions if pattern in ("*", one.name)]

    monkeypatch.setattr(tracking, "connect", lambda create: "a store")
    monkeypatch.setattr(tracking, "registered_versions", registered)
    return versions


def test_all_versions_are_listed():
    table = zoo.list_models()
    assert list(table["model"]) == ["cifar_cnn/1", "mnist_cnn/2", "mnist_cnn/1", "theirs/1"]
    assert list(table["aliases"]) == ["champion", "", "champion", ""]
    assert list(table["trial"])[:3] == [4, 4, 4]
    assert table["trial"].isna()[3]
    assert table["parameters"][0] == 9000


@pytest.mark.parametrize(
    ("filters", "models"),
    [
        ({"dataset": "mnist"}, ["mnist_cnn/2", "mnist_cnn/1"]),
        ({"dataset": "c*"}, ["cifar_cnn/1"]),
        ({"min_accuracy": 0.98}, ["mnist_cnn/2", "mnist_cnn/1"]),
        ({"max_parameters": 5000}, ["mnist_cnn/2", "mnist_cnn/1"]),
        ({"min_accuracy": 0.99, "max_parameters": 2000}, []),
        ({"pattern": "cifar_cnn"}, ["cifar_cnn/1"]),
    ],
)
def test_filters_select_versions(filters, models):
    assert list(zoo.list_models(**filters)["model"]) == models


def test_empty_registry_has_all_columns(registry):
    registry.clear()
    table = zoo.list_models()
    assert table.empty
    assert {"model", "test_accuracy", "address"} <= set(table)


def test_facts_of_others_are_empty(registry):
    facts = model_facts(registry[-1])
    assert (facts["dataset"], facts["trial"], math.isnan(facts["parameters"])) == ("", None, True)


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("mnist_cnn", {"name": "mnist_cnn", "alias": "", "version": ""}),
        ("mnist_cnn@best", {"name": "mnist_cnn", "alias": "best", "version": ""}),
        ("models:/mnist_cnn/2", {"name": "mnist_cnn", "alias": "", "version": "2"}),
    ],
)
def test_registered_model_is_found(monkeypatch, name, which):
    def address(store, **found):
        assert found == which
        return "models:/mnist_cnn/2"

    monkeypatch.setattr(tracking, "registered_address", address)
    monkeypatch.setattr(tracking, "registered_version", lambda store, name, number: (name, number))
    assert find_registered(name) == ("mnist_cnn", 2)


def test_other_names_are_errors():
    with pytest.raises(TrackingError, match=r"^'a/b/c' is not a registered model\. Expected NAME, "):
        find_registered("a/b/c")
