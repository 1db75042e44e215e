"""`zoo delete` and `zoo rename`; the functions that do the work are replaced."""

from __future__ import annotations

import io
import sys

import pytest
from click.testing import CliRunner

from zoo.cli import common, delete_command, rename_command
from zoo.errors import ZooError
from zoo.tuning import lifecycle


@pytest.fixture
def calls(monkeypatch):
    """The calls of zoo.tuning.lifecycle; each returns its line."""
    calls = []

    def replace(name, line):
        monkeypatch.setattr(lifecycle, name, lambda *arguments: calls.append((name, *arguments)) or line)

    replace("delete_study", "deleted the study")
    replace("delete_trials", "deleted 2 trials")
    replace("restore_trials", "restored 1 trial")
    replace("restore_study_run", "restored the run")
    replace("rename_study", "renamed the study")
    return calls


def delete(line, answer=""):
    return CliRunner().invoke(
        delete_command.command, line.split(), input=answer, catch_exceptions=False, standalone_mode=False
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_trials_are_deleted_without_asking(calls):
    done = delete("example --trial 3 --trial 5")
    assert calls == [("delete_trials", "example", (3, 5))]
    assert done.stdout == "deleted 2 trials\n"
    assert done.stderr.splitlines() == [
        "next: zoo compare example                                the remaining trials",
        "      zoo delete example --trial 3 --trial 5 --restore   undo this",
    ]


def test_restore_restores_the_trials(calls):
    done = delete("--study example --trial 3 --restore")
    assert calls == [("restore_trials", "example", (3,))]
    assert done.stdout == "restored 1 trial\n"
    assert done.stderr == "next: zoo compare example   the trials, best first\n"


def test_restore_without_trials_restores_the_studys_run(calls):
    done = delete("example --restore")
    assert calls == [("restore_study_run", "example")]
    assert done.stdout == "restored the run\n"


def test_yes_deletes_a_study_without_asking(calls):
    done = delete("example --yes")
    assert calls == [("delete_study", "example", None)]
    assert done.stdout == "deleted the study\n"
    assert done.stderr.startswith("next: zoo list studies")


def test_study_is_not_deleted_without_a_terminal(calls):
    with pytest.raises(ZooError, match="'example' needs a confirmation; without a terminal, add --yes"):
        delete("example")
    assert calls == []


@pytest.mark.parametrize(("answer", "is_deleted"), [("y", True), ("n", False)])
def test_terminal_is_asked_before_a_study_is_deleted(calls, monkeypatch, answer, is_deleted):
    monkeypatch.setattr(sys, "stdin", Terminal())
    questions = []
    monkeypatch.setattr("click.confirm", lambda text, err: questions.append(text) or answer == "y")
    if is_deleted:
        delete_command._confirm("example")
    else:
        with pytest.raises(ZooError, match="'example' was not deleted"):
            delete_command._confirm("example")
    assert questions == ["Delete the study 'example' with all its trials?"]


def test_refused_deletion_is_exit_status_2(zoo_command):
    run = zoo_command("delete", "example")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        "error: deleting the study 'example' needs a confirmation; without a terminal, add --yes.\n"
    )


def test_unknown_study_is_one_line(zoo_command):
    for arguments in (
        ["delete", "example", "--yes"],
        ["delete", "example", "--trial", "1"],
        ["rename", "a", "b"],
    ):
        run = zoo_command(*arguments)
        assert (run.returncode, run.stdout) == (2, ""), arguments
        (line,) = run.stderr.splitlines()
        assert line.startswith("error: no study '")


def test_study_is_renamed(calls):
    done = CliRunner().invoke(rename_command.command, ["example", "my study"], catch_exceptions=False)
    assert calls == [("rename_study", "example", "my study", None)]
    assert done.stdout == "renamed the study\n"
    assert done.stderr == "next: zoo compare 'my study'   the trials, best first\n"


def test_next_commands_are_aligned(capsys):
    common.print_next(("zoo list", "names"), ("zoo compare a", "trials"), ("pytest", ""))
    assert capsys.readouterr().err.splitlines() == [
        "next: zoo list        names",
        "      zoo compare a   trials",
        "      pytest",
    ]
