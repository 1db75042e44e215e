"""A password in the address of MLflow or Optuna is in no output and in no file, whatever the command is."""

from __future__ import annotations

import logging
import sys

import pytest

import zoo.cli
from zoo.cli.common import command_line
from zoo.errors import one_line
from zoo.events import Finished
from zoo.logs import library_logs
from zoo.record import StudyDirectory
from zoo.study import Objective

PASSWORD = "Can@ry4711"
PARTS = ("ry4711", "Can@", "Canary")
URIS = [
    f"http://me:{PASSWORD}@127.0.0.1:9/path",
    f"https://{PASSWORD.replace('@', '')}@127.0.0.1:9",
    f"postgresql://me:{PASSWORD}@127.0.0.1:9/db",
    f"mysql://me:{PASSWORD.replace('@', '/')}@127.0.0.1:9/db",
    f"nosuchscheme://me:{PASSWORD}@host/db",
    f"postgresql:me:{PASSWORD}@host/db",
    f"postgresql://host/db?user=me&password={PASSWORD.replace('@', '')}",
]
MLFLOW_COMMANDS = [
    "tune example",
    "train example",
    "confirm example",
    "compare example",
    "evaluate example",
    "predict example image.png",
    "predict models:/example@champion image.png",
    "serve models:/example/1 --port 0",
    "models",
    "models show example",
    "models pack example --out example.zoo",
    "promote example",
    "export models:/example/1 --to onnx",
    "report example",
    "ui example --port 0",
    "inspect curves example",
    "inspect samples example",
    "delete example --yes",
    "delete example --trial 0",
    "rename example other",
    "list",
    "show example",
    "check",
    "plugins",
    "init images",
]
STORAGE_COMMANDS = ["report example", "ui example --optuna", "delete example --yes", "rename example other"]


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    """run("tune example --storage URL") -> what the command prints, and every file that it leaves."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for module in ("cli.common", "tuning.opening", "training.worker"):
        monkeypatch.setattr(f"zoo.{module}.start_loading_keras", lambda: None)
    directory = StudyDirectory(tmp_path, "example")
    directory.create()
    directory.assign("5f0c", [Objective("val_accuracy", "maximize")])
    directory.describe("dataset = 'digits'\n", "zoo tune example")
    directory.trial(0).create({})
    directory.trial(0).append(Finished(9.0, "complete", summary={"best_val_accuracy": 0.5}))

    def command(line):
        monkeypatch.setattr(sys, "argv", ["zoo", *line.split()])
        with pytest.raises(SystemExit):
            zoo.cli.main()
        printed = capfd.readouterr()
        assert printed.out or printed.err
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        return printed.out + printed.err, b"".join(path.read_bytes() for path in files).decode(
            "utf-8", "replace"
        )

    return command


@pytest.mark.parametrize("line", MLFLOW_COMMANDS)
def test_password_of_mlflow_is_in_no_output(run, monkeypatch, line):
    for uri in URIS:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        _check(*run(line))


@pytest.mark.parametrize("line", STORAGE_COMMANDS)
def test_password_of_optuna_is_in_no_output(run, line):
    for uri in URIS[2:]:
        _check(*run(f"{line} --storage {uri}"))


def test_ui_shows_the_store_without_its_password(run, monkeypatch):
    def serve(arguments, environment, log, answers, on_ready):
        assert PASSWORD in environment["MLFLOW_BACKEND_STORE_URI"]
        assert PASSWORD not in str(arguments)  # every user of the machine can list them
        on_ready()
        return 0

    monkeypatch.setattr("zoo.cli.ui_command._serve", serve)
    monkeypatch.setattr("zoo.tracking.only_study", lambda: None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", URIS[2])
    printed, files = run("ui --port 0")
    _check(printed, files)
    assert "showing postgresql://me:***@127.0.0.1:9/db; press Ctrl-C to stop" in printed


def test_unusable_store_is_named_without_its_password(run, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", URIS[4])
    assert run("compare example")[0].startswith("error: MLflow cannot use nosuchscheme://me:***@host/db: ")


def test_logs_tags_and_tracebacks_have_no_password(run, monkeypatch, tmp_path):
    """A driver that ends the password at its first `@` takes the rest for the host."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", URIS[2])
    error = OSError('could not translate host name "ry4711@127.0.0.1" to address')
    assert one_line(error) == 'could not translate host name "***@127.0.0.1" to address'
    with library_logs(tmp_path / "zoo.log"):
        logging.getLogger("sqlalchemy").warning("connecting to %s", URIS[2])
    assert "connecting to postgresql://me:***@127.0.0.1:9/db" in (tmp_path / "zoo.log").read_text()
    monkeypatch.setattr(sys, "argv", ["zoo", "tune", "example", "--storage", URIS[2]])
    assert command_line() == "zoo tune example --storage postgresql://me:***@127.0.0.1:9/db"
    printed, files = run(f"--debug report example --storage {URIS[4]}")
    assert "Traceback" in printed
    _check(printed, files)


def _check(*texts):
    for text in texts:
        assert not [part for part in PARTS if part in text], text
