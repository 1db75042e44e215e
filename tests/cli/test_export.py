"""`zoo export`: a model in another format."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from zoo.cli import export_command
from zoo.models.formats import FORMATS

TRIAL = "mlruns/zoo/example/trials/001"


@pytest.fixture
def export(in_study, keras_in_process, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.cli.common.start_loading_keras", lambda: None)

    def run(format, *arguments):
        output = tmp_path / f"model{FORMATS[format].suffix}"
        line = [TRIAL, "--format", format, "--output", str(output), *arguments]
        options = {"catch_exceptions": False, "standalone_mode": False}
        return output, CliRunner().invoke(export_command.command, line, **options)

    return run


def test_command_prints_the_comparison(export):
    output, done = export("keras")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{output}  0.")
    assert lines[1:3] == [
        f"{output}.json  class names, input, origin",
        "compared with the original on 100 images of the test split of digits:",
    ]
    assert [line.split()[-1] for line in lines[3:]] == ["0", "100"]
    assert done.stderr == f"converting {TRIAL} to keras …\ncomparing it with the original …\n"


def test_int8_prints_the_change_of_accuracy(export):
    pytest.importorskip("ai_edge_litert")
    _, done = export("litert-int8", "--quiet")
    accuracy, ranges = done.stdout.splitlines()[-2:]
    assert accuracy.strip().startswith("accuracy on 359 images")
    assert ranges.endswith("from 300 images of the training split of digits")
    assert done.stderr == ""


def test_formats_are_those_of_the_package():
    assert list(FORMATS) == list(export_command.FORMATS)


def test_unknown_format_is_refused(export):
    with pytest.raises(click.UsageError, match="'coreml' is not one of 'keras', 'saved_model', 'onnx'"):
        export("keras", "--format", "coreml")
