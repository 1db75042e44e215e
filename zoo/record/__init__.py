"""The local record: directories of studies and trials, and finding what they hold.

study_directory.py  the directory of a study, its lock, the trials that were deleted
trial_directory.py  the directory of a trial or of a standalone run
runs.py             recorded trials and standalone runs: by number, the best, by directory
"""

from zoo.record.runs import Run, best_run, load_runs, pick_runs, rank_runs, run_in, trial_uid
from zoo.record.study_directory import STATE_DIR, StudyDirectory, study_name
from zoo.record.trial_directory import (
    MLflowRun,
    StandaloneDirectory,
    TrialDirectory,
    epochs_of,
    read_predictions,
)

__all__ = [
    "STATE_DIR",
    "MLflowRun",
    "Run",
    "StandaloneDirectory",
    "StudyDirectory",
    "TrialDirectory",
    "best_run",
    "epochs_of",
    "load_runs",
    "pick_runs",
    "rank_runs",
    "read_predictions",
    "run_in",
    "study_name",
    "trial_uid",
]
