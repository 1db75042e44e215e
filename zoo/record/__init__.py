"""The local record: directories of studies and trials, and finding what they hold.

directories.py  the directories of studies, trials and standalone runs
runs.py         recorded trials and standalone runs: by number, the best, by directory
"""

from zoo.record.directories import (
    STATE_DIR,
    MLflowRun,
    StandaloneDirectory,
    StudyDirectory,
    TrialDirectory,
    create_folder,
    epochs_of,
    read_predictions,
)
from zoo.record.runs import (
    Run,
    best_run,
    load_runs,
    no_complete_trial,
    pick_runs,
    rank_runs,
    run_in,
    study_and_trial,
    trial_uid,
)
