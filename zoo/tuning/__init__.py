"""Running studies: Optuna, the supervisor, and the executors that trials run in.

study_run.py        zoo.tune
estimating.py       zoo.dry_run: what a study would do
standalone_run.py   zoo.train
confirming.py       zoo confirm: the best trials again, with fresh seeds
champion.py         the best trial against the registered champion
opening.py          opens the directory, the worker processes, the dataset and MLflow
mlflow_record.py    the record in MLflow, and closing it; syncing.py: zoo.sync, after an outage
reconcile.py        settles what a killed process left open
supervisor.py       starts trials, handles their events, decides final states
search.py           trials from an Optuna study; optuna_trials.py, samplers.py, manifest.py
bounded_tpe.py      TPE for thousands of trials; ahead.py: the next trial, proposed while others run
scoring.py          scores on the test split; ranking.py: best first
rebuilding.py       an Optuna study made again from the event logs; differences.py: databases and logs
repairing.py        both databases made again, for `zoo doctor`; ownership.py: the folder that runs a study
recorded_search.py  reads a recorded study in Optuna; retrying.py: trials that are run again
continuing.py       the checkpoint of an interrupted trial for the one that retries it
executors/          where trials run
display.py          progress on the terminal and in notebooks; interrupts.py: signals
"""

from zoo.tuning.confirming import Confirmation, Finalist, confirm
from zoo.tuning.estimating import DryRun, dry_run
from zoo.tuning.standalone_run import TrainResult, train
from zoo.tuning.study_run import TuneResult, tune
from zoo.tuning.syncing import sync
