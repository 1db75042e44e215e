"""Running studies: Optuna, the supervisor, and the executors that trials run in.

study_run.py        zoo.tune, from beginning to end
standalone_run.py   zoo.train, from beginning to end
opening.py          directory, worker processes, dataset and MLflow, opened together
mlflow_record.py    the record in MLflow, and closing it
reconcile.py        completing what an earlier process left incomplete
supervisor.py       starts trials, handles their events, decides final states
search.py           trials from an Optuna study; samplers.py, manifest.py
executors/          where trials run
display.py          progress on the terminal; interrupts.py: signals
"""

from zoo.tuning.standalone_run import TrainResult, train
from zoo.tuning.study_run import TuneResult, tune

__all__ = ["TrainResult", "TuneResult", "train", "tune"]
