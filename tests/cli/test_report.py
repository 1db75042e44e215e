"""`zoo report`: the file that it writes, and its errors."""

from __future__ import annotations

from click.testing import CliRunner

from zoo.cli import report_command
from zoo.tracking import StoreAway


def run(*arguments):
    return CliRunner().invoke(report_command.command, arguments)


def test_path_of_the_page_is_printed(in_study):
    done = run("example")
    assert done.stdout == "mlruns/zoo/example/report.html\n"
    assert done.stderr.splitlines()[0] == "writing the report …"
    assert (
        (in_study / "mlruns" / "zoo" / "example" / "report.html").read_text("utf-8").startswith("<!doctype")
    )


def test_output_selects_the_file(in_study, tmp_path):
    page = tmp_path / "new" / "page.html"
    assert run("--study", "example", "--output", str(page)).stdout == f"{page}\n"
    assert page.exists()


def test_missing_parts_are_warnings(in_study):
    done = run("example", "--output", "page.html")
    (in_study / "page.html").unlink()
    assert "warning: the Optuna storage has no study 'example'." in done.stderr
    assert done.stdout == "page.html\n"


def test_unknown_study_has_only_an_error(in_study):
    done = run("exampel")
    assert str(done.exception) == "there is no trial of 'exampel' in mlruns/zoo. Did you mean 'example'?"
    assert (done.stdout, done.stderr) == ("", "")


def test_output_must_be_html(in_study):
    error = run("example", "--output", "page.png").exception
    assert str(error) == "--output: expected a file that ends in .html, got page.png"


def test_server_that_is_away_gets_the_report_by_sync(in_study, monkeypatch):
    def connect(**_):
        raise StoreAway("no MLflow server answers. Start it.")

    monkeypatch.setattr("zoo.tracking.connect", connect)
    assert run("example").stderr.splitlines()[-1] == (
        "warning: the report is not in MLflow: no MLflow server answers; `zoo sync example` adds it"
    )


def test_missing_run_of_the_study_is_named(in_study, monkeypatch, tmp_path):
    monkeypatch.setattr("zoo.tracking.connect", lambda **_: None)
    monkeypatch.setattr("zoo.tracking.add_report", lambda *_: False)
    assert run("example").stderr.splitlines()[-1] == (
        "warning: the report is not in MLflow: MLflow has no run of this study; "
        "`zoo delete example --restore` restores a deleted one"
    )
