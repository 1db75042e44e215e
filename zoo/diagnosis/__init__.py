"""`zoo doctor`: problems of the installation, the stores and the recorded studies, and their fixes.

_environment.py   versions, the backend and its device, plugins
_stores.py        MLflow, Optuna's storages, free space
_studies.py       the record of a study, compared with Optuna and MLflow
"""

from __future__ import annotations

from collections.abc import Sequence

from zoo.diagnosis._environment import check_device, check_plugins, check_versions
from zoo.diagnosis._finding import Finding
from zoo.diagnosis._stores import check_mlflow, check_space
from zoo.diagnosis._studies import check_study, recorded_studies
from zoo.errors import ZooError
from zoo.tuning.display import Display
from zoo.tuning.repairing import repair_record


def repair_studies(findings: Sequence[Finding], display: Display) -> None:
    """Repair the databases of the studies that findings name; report studies that cannot be repaired."""
    store, _ = check_mlflow()
    for name in sorted({one.subject.partition(" ")[2] for one in findings if one.can_repair}):
        try:
            repair_record(name, display, store=store)
        except ZooError as error:
            display.problem(f"the study '{name}' was not repaired: {error}")


def diagnose(studies: Sequence[str] = ()) -> list[Finding]:
    """Return the result of every check.

    Args:
        studies: names of recorded studies; by default every one in this folder.

    Raises:
        StudyError: there is no such study.
    """
    names = recorded_studies(studies)
    store, mlflow = check_mlflow()
    findings = [*check_versions(), *check_device(), *check_plugins(), *check_space(), mlflow]
    for name in names:
        findings += check_study(name, store)
    return findings
