"""The supervisor's side: Optuna, the loop that asks and tells, the processes trials run in.

run.py         zoo.tune, zoo.train, zoo.compare
session.py     what a study needs while it is worked on, opened together
supervisor.py  the one writer of a study
search.py      the Optuna study
executor.py    where trials run
record.py      the files of a study and its trials
"""

from zoo.tuning.run import compare, train, tune
from zoo.tuning.session import TrainResult, TuneResult

__all__ = ["TrainResult", "TuneResult", "compare", "train", "tune"]
