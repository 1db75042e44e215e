"""`zoo doctor`: the table, its exit status, and the repair; the checks are replaced."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import zoo.diagnosis
from zoo.cli import common, doctor_command
from zoo.diagnosis import Finding

GOOD = Finding("keras", True, "3.15.1")
BAD = Finding("device", False, "1 GPU of NVIDIA, but tensorflow uses the CPU", "pip install 'keras-zoo[gpu]'")
LOST = Finding("optuna example", False, "Optuna's storage does not have the study", can_repair=True)


@pytest.fixture
def doctor(monkeypatch):
    """doctor(findings, line) -> the result; `repaired` has the names of the repaired studies."""
    monkeypatch.setattr(common, "start_loading_keras", lambda: None)
    repaired = []

    def run(findings, line=""):
        def repair(name, display, *, store):
            repaired.append(name)
            findings.remove(LOST)

        monkeypatch.setattr(zoo.diagnosis, "diagnose", lambda names: list(findings))
        monkeypatch.setattr(zoo.diagnosis, "check_mlflow", lambda: (None, GOOD))
        monkeypatch.setattr(zoo.diagnosis, "repair_record", repair)
        return CliRunner().invoke(doctor_command.command, line.split(), standalone_mode=False)

    run.repaired = repaired
    return run


def test_table_says_what_to_do(doctor):
    done = doctor([GOOD, BAD, LOST])
    assert done.return_value == 1
    assert done.stdout.splitlines() == [
        "ok       keras           3.15.1",
        f"problem  device          {BAD.text} → {BAD.fix}",
        "problem  optuna example  Optuna's storage does not have the study → zoo doctor --repair",
    ]
    assert done.stderr == "next: zoo doctor --repair   repair the databases\n"


def test_without_a_problem_the_status_is_0(doctor):
    done = doctor([GOOD], "--json")
    assert done.return_value == 0
    assert json.loads(done.stdout)[0] == {
        "subject": "keras", "is_ok": True, "text": "3.15.1", "fix": "", "can_repair": False
    }  # fmt: skip


def test_repair_checks_again(doctor):
    done = doctor([GOOD, LOST], "--repair")
    assert doctor.repaired == ["example"]
    assert (done.return_value, done.stdout) == (0, "ok  keras  3.15.1\n")


def test_study_that_cannot_be_repaired_is_reported(doctor, monkeypatch):
    def refuse(name, display, *, store):
        raise zoo.diagnosis.ZooError("the study is being run")

    done = doctor([LOST])
    assert done.return_value == 1
    monkeypatch.setattr(zoo.diagnosis, "repair_record", refuse)
    zoo.diagnosis.repair_studies([LOST], Problems(doctor.repaired))
    assert doctor.repaired == ["the study 'example' was not repaired: the study is being run"]


class Problems:
    def __init__(self, lines):
        self.problem = lines.append
