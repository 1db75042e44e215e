"""Running studies: Optuna, the supervisor, and the executors that trials run in.

study_run.py        zoo.tune, from beginning to end
standalone_run.py   zoo.train, from beginning to end
opening.py          directory, worker processes, dataset and MLflow, opened together
mlflow_record.py    the record in MLflow, and closing it
reconcile.py        completing what an earlier process left incomplete
supervisor.py       starts trials, handles their events, decides final states
search.py           trials from an Optuna study; samplers.py, manifest.py
fixed_trials.py     trials with given configurations
executors/          where trials run
champion.py         the best trial, scored on the test split
display.py          progress on the terminal; interrupts.py: signals
results.py          what tune and train return
"""

from zoo.tuning.results import TrainResult, TuneResult
from zoo.tuning.standalone_run import train
from zoo.tuning.study_run import tune

__all__ = ["TrainResult", "TuneResult", "train", "tune"]
