"""Trials as they were recorded: finding one, what it has, and what its model answers.

finding.py    a run by study and number, the champion, or by its folder
contents.py   its model and its dataset
"""

from zoo.runs.contents import ask_model, dataset_of, model_of, prepare, tell_versions, validation_data
from zoo.runs.finding import Run, all_runs, best_first, champion, find_run, pick

__all__ = [
    "Run",
    "all_runs",
    "ask_model",
    "best_first",
    "champion",
    "dataset_of",
    "find_run",
    "model_of",
    "pick",
    "prepare",
    "tell_versions",
    "validation_data",
]
