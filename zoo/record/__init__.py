"""The local record: directories of studies and trials, and their content.

directories.py        the directories of studies
trial_directories.py  the directories of trials and standalone runs
damage.py             damaged files in these directories: what is lost, and what to do
finished.py           facts about a study that has no trial left to run
results.py            epochs and predictions of a trial
runs.py               recorded trials and standalone runs: found by number or directory, and the best one
"""

from zoo.record.damage import Damage, damaged_files, find_damage
from zoo.record.directories import STATE_DIR, StudyDirectory, create_folder
from zoo.record.finished import FinishedStudy, read_finished, write_finished
from zoo.record.results import epochs_of, read_predictions
from zoo.record.runs import (
    Run,
    best_run,
    load_runs,
    no_complete_trial,
    not_in_cache,
    objectives_of,
    pick_runs,
    rank_runs,
    run_in,
    study_and_trial,
    trial_uid,
    unrecorded_hint,
)
from zoo.record.trial_directories import MLflowRun, StandaloneDirectory, TrialDirectory
