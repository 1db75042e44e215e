"""The supervisor's side: Optuna, the loop that asks and tells, the processes trials run in.

run.py         zoo.tune, zoo.train, zoo.compare
session.py     what a study needs while it is worked on, opened together
results.py     what a search and a single training come to
supervisor.py  the one writer of a study
search.py      the Optuna study
executor.py    where trials run
record.py      the files of a study and its trials
"""

from zoo.tuning.results import TrainResult, TuneResult
from zoo.tuning.run import compare, train, tune

__all__ = ["TrainResult", "TuneResult", "compare", "train", "tune"]
