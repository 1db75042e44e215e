"""Recognizing a finished study whose report and description are written, so that neither is made again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from zoo._version import __version__
from zoo.record import FinishedStudy, StudyDirectory, read_finished, write_finished
from zoo.redaction import redact
from zoo.study import StudyDefinition
from zoo.tracking import tracking_uri
from zoo.tuning.mlflow_record import MLflowRecord
from zoo.tuning.opening import OpenStudy
from zoo.tuning.search import OptunaSearch


def has_trials_left(definition: StudyDefinition) -> bool:
    """Return False if an earlier command left no trial to run, as recorded; Optuna is not read."""
    finished = read_finished(StudyDirectory(Path.cwd(), definition.name))
    return definition.search.trials > finished.trials


def is_described(study: OpenStudy, search: OptunaSearch, record: MLflowRecord) -> bool:
    """Return True if nothing was added since the report was written and the study was described in MLflow."""
    return not record.has_events and read_finished(study.directory).state == _state(study, search)


def remember_end(study: OpenStudy, search: OptunaSearch) -> None:
    """Record that the study is finished and described."""
    trials = study.definition.search.trials
    write_finished(study.directory, FinishedStudy(trials, _state(study, search)))


def _state(study: OpenStudy, search: OptunaSearch) -> str:
    """Return a digest of what the report and the description in MLflow show, and of where both are stored."""
    definition, dataset, directory = study.definition, study.dataset, study.directory
    facts = [
        __version__,
        redact(tracking_uri()),
        definition.text,
        definition.plugin_versions(),
        directory.commands(),
        [dataset.digest, dataset.source, dataset.warning],
        [search.done(), search.total(), search.values()],
        [sorted(search.deleted), sorted(search.set_aside)],
        _logs(directory),
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _logs(directory: StudyDirectory) -> list[tuple[str, int, int]]:
    """Return name, size and time of each configuration and event log."""
    folders = [*directory.trials_dir.glob("*"), *(directory.path / "standalone").glob("*")]
    return [
        (f"{folder.name}/{name}", *_size_and_time(folder / name))
        for folder in sorted(folders)
        for name in ("config.json", "events.jsonl")
    ]


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        facts = path.stat()
    except OSError:
        return 0, 0
    return facts.st_size, facts.st_mtime_ns
