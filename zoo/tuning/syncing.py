"""`zoo sync`: send the missing parts of a study to MLflow, without running a trial."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from zoo.errors import StudyError
from zoo.record import STATE_DIR, StudyDirectory
from zoo.registry import using_plugins
from zoo.tuning.display import Display, default_display
from zoo.tuning.mlflow_record import MLflowRecord
from zoo.tuning.opening import OpenStudy, open_study
from zoo.tuning.reconcile import reconcile
from zoo.tuning.scoring import score_best
from zoo.tuning.search import OptunaSearch
from zoo.tuning.study_run import define_study, open_record, open_search
from zoo.tuning.study_summary import record_summary


def sync(
    study: str,
    *,
    overrides: Sequence[str] = (),
    plugins: Sequence[Any] = (),
    name: str | None = None,
    storage: str | None = None,
    display: Display | None = None,
    command: str = "zoo.sync",
) -> bool:
    """Send the missing parts of a study to MLflow; return True if MLflow has everything.

    No trial runs; trials that a killed process left running get their final state.

    Args:
        study: the name under which it is recorded, or the path of its file.
        overrides, plugins, name, storage, display, command: as for `tune` when the study was run; by default,
            settings and plugin files are those of the record.

    Raises:
        StudyError: the study is not recorded in this folder.
        StoreAway: MLflow does not answer.
    """
    with ExitStack() as stack:
        stack.enter_context(using_plugins(plugins))
        recorded = STATE_DIR / study / "study.toml"
        if not overrides and not plugins and name is None and recorded.exists():
            study, name = str(recorded), study
        definition, _, warnings = define_study(study, None, overrides, name, 1, {})
        directory = StudyDirectory(Path.cwd(), definition.name)
        if not directory.numbers() and not directory.standalone_runs():
            raise StudyError(
                f"no trial of '{definition.name}' is recorded in {STATE_DIR}. `zoo tune` records the study."
            )
        shown = display or default_display()
        opened = open_study(stack, definition, 1, shown, warnings, trains=False)
        opened.store.result()
        search = open_search(opened, storage)
        stack.enter_context(opened.interrupts)
        with open_record(opened, search, command) as record:
            reconcile(opened, search, record)
            _record_results(opened, search, record)
            record.status = "FINISHED" if search.done() >= search.total() else "KILLED"
        return record.is_complete


def _record_results(study: OpenStudy, search: OptunaSearch, record: MLflowRecord) -> None:
    """Send the test scores of the best trial, the report and the description of the study."""
    score_best(study, search, record, only_recorded=True)
    report = study.directory.path / "report.html"
    if report.exists():
        record.record_report(report)
    record_summary(study, search, record)
