"""Everything zoo knows of MLflow: writing studies into it and reading them back.

The only importer of MLflow, which it imports where it is used: importing this package is light.

    store.py    which store, and a client for it            connect, tracking_uri
    writer.py   a study's run and its trials' runs          StudyFacts, StudyTracker
    thread.py   the writer in a thread of its own           BackgroundTracker
    models.py   `model.keras` as an MLflow model
    reader.py   trials as a table; closing what was left    leaderboard, model_address, unfinished_runs …
    server.py   MLflow's user interface on the right store  ui_command
    names.py    tags, parameters, unique names
"""

from __future__ import annotations

from zoo.tracking.names import trial_uid
from zoo.tracking.reader import close_run, leaderboard, model_address, unfinished_runs
from zoo.tracking.server import free_port, ui_address, ui_command, ui_environment
from zoo.tracking.store import Store, TrackingError, connect, tracking_uri
from zoo.tracking.thread import BackgroundTracker
from zoo.tracking.writer import StudyFacts, StudyTracker

__all__ = [
    "BackgroundTracker",
    "Store",
    "StudyFacts",
    "StudyTracker",
    "TrackingError",
    "close_run",
    "connect",
    "free_port",
    "leaderboard",
    "model_address",
    "tracking_uri",
    "trial_uid",
    "ui_address",
    "ui_command",
    "ui_environment",
    "unfinished_runs",
]
