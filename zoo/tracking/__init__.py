"""Everything zoo knows of MLflow: writing studies into it and reading them back.

The only importer of MLflow, which it imports where it is used: importing this package is light.

    store.py    which store, and a client for it            connect, preload, tracking_uri
    writer.py   a study's run and its trials' runs          StudyFacts, StudyTracker
    thread.py   the writer in a thread of its own           BackgroundTracker
    models.py   `model.keras` as an MLflow model            fetch_model, fetch_model_file
    loader.py   how MLflow's pyfunc loads layers of plugins
    reader.py   trials as a table, and which MLflow has     leaderboard, ended_runs, model_address
    server.py   MLflow's user interface on the right store  ui_command
    names.py    tags, parameters, unique names
"""

from __future__ import annotations

from zoo.tracking.models import fetch_model, fetch_model_file
from zoo.tracking.names import trial_uid
from zoo.tracking.reader import champion_address, ended_runs, leaderboard, model_address, study_page
from zoo.tracking.server import free_port, ui_address, ui_answers, ui_command, ui_environment
from zoo.tracking.store import Store, TrackingError, connect, is_new_store, preload, tracking_uri
from zoo.tracking.thread import BackgroundTracker
from zoo.tracking.writer import StudyFacts, StudyTracker, add_test_metrics

__all__ = [
    "BackgroundTracker",
    "Store",
    "StudyFacts",
    "StudyTracker",
    "TrackingError",
    "add_test_metrics",
    "champion_address",
    "connect",
    "fetch_model",
    "fetch_model_file",
    "free_port",
    "ended_runs",
    "is_new_store",
    "leaderboard",
    "model_address",
    "preload",
    "study_page",
    "tracking_uri",
    "trial_uid",
    "ui_address",
    "ui_answers",
    "ui_command",
    "ui_environment",
]
