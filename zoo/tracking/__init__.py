"""The only package that imports MLflow: recording studies, and reading them back.

MLflow is imported inside functions, so that `import zoo.tracking` is fast.
"""

from __future__ import annotations

from zoo.tracking._background import BackgroundTracker
from zoo.tracking._card import model_card
from zoo.tracking._connection import (
    connect,
    free_port,
    is_new_store,
    preload,
    server_answers,
    tracking_uri,
    ui_answers,
    ui_command,
    ui_environment,
)
from zoo.tracking._names import StudyFacts, StudySummary, confirm_name
from zoo.tracking._reconnecting import StoreConnection
from zoo.tracking._recorded import (
    best_model_address,
    compare,
    delete_trials,
    leaderboard,
    only_study,
    restore_trials,
    study_page,
    trial_results,
    trial_states,
)
from zoo.tracking._registry import (
    ModelVersion,
    champion,
    check_registered_name,
    find_version,
    promote,
    registered_address,
    registered_version,
    registered_versions,
)
from zoo.tracking._removal import disk_space, trials_without_model
from zoo.tracking._scoring import scoring_server
from zoo.tracking._store import Store, StoreAway, TrackingError
from zoo.tracking._stored_models import (
    fetch_model,
    fetch_model_file,
    model_address,
    named_address,
    run_model_address,
)
from zoo.tracking._studies import delete_study, is_study_run_deleted, rename_study, restore_study_run
from zoo.tracking._writer import StudyTracker, add_report, add_test_metrics, correct_results
