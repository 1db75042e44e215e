"""Scores of a model: on the test split of its study, and on any dataset with the same classes.

recorded.py   a recorded trial or standalone run, on its own test split; the scores are added to its record
elsewhere.py  any model, on any dataset
result.py     Evaluation
"""

from zoo.evaluation.recorded import evaluate
from zoo.evaluation.result import Evaluation
