"""`zoo models`: its output; the registered models are replaced."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from zoo import models
from zoo.cli import zoo
from zoo.models.listing import model_facts
from zoo.tracking import ModelVersion

VERSION = ModelVersion(
    "mnist_cnn",
    3,
    "models:/m-1",
    aliases=["champion"],
    description="# mnist_cnn, trial 6\n",
    params={"dataset": "mnist", "architecture": "conv_net"},
    metrics={"parameters": 12345.0},
)


@pytest.fixture
def run(monkeypatch):
    """run("models") -> the result; the keyword `versions` of the list can be changed."""
    import pandas as pd

    asked = []

    def list_models(pattern, **filters):
        asked.append((pattern, filters))
        return pd.DataFrame([model_facts(one) for one in run.versions])

    def run(*arguments):
        return CliRunner().invoke(zoo, ["models", *arguments])

    monkeypatch.setattr(models, "list_models", list_models)
    monkeypatch.setattr(models, "find_registered", lambda name: VERSION)
    run.versions, run.asked = [VERSION], asked
    return run


@pytest.mark.parametrize("arguments", [[], ["list"]])
def test_models_are_listed_by_either_command(run, arguments):
    done = run(*arguments)
    assert done.stdout == (
        "model        aliases   dataset  architecture  parameters\n"
        "mnist_cnn/3  champion  mnist    conv_net      12,345\n"
    )
    assert done.stderr == "next: zoo models show mnist_cnn/3   one of them in full\n"


def test_filters_are_passed_on(run):
    run("--dataset", "mnist", "--min-accuracy", "0.9")
    run("list", "m*", "--max-parameters", "5")
    none = {"dataset": None, "min_accuracy": None, "max_parameters": None}
    assert run.asked == [
        ("*", {**none, "dataset": "mnist", "min_accuracy": 0.9}),
        ("m*", {**none, "max_parameters": 5}),
    ]


def test_csv_and_json_have_every_column(run):
    header = run("--csv").stdout.splitlines()[0].split(",")
    (row,) = json.loads(run("list", "--json").stdout)
    assert list(row) == header == list(model_facts(VERSION))


def test_empty_list_says_why(run):
    run.versions = []
    assert run().stderr == "no model is registered; `zoo tune` and `zoo promote` register one\n"
    assert run("list", "m*").stderr == "no registered model matches\n"


def test_filters_before_a_subcommand_are_refused(run):
    done = run("--json", "show", "mnist_cnn")
    assert (done.exit_code, run.asked) == (2, [])
    assert "write the options after `show`" in done.stderr


def test_card_is_shown(run):
    done = run("show", "mnist_cnn")
    assert done.stdout.startswith("model    mnist_cnn/3\naliases  champion\ncreated  ")
    assert done.stdout.endswith("\n\n# mnist_cnn, trial 6\n")


def test_shown_json_has_null_for_unknown(run):
    document = json.loads(run("show", "mnist_cnn", "--json").stdout)
    assert (document["test_accuracy"], document["parameters"]) == (None, 12345)
    assert document["card"] == VERSION.description
