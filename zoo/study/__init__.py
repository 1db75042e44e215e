"""A study: what is searched, as its TOML file says it. Checked against the registry, without Keras.

One rule holds everywhere: a value pins, a table searches, silence keeps the author's range.
"""

from zoo.study._definition import PRUNERS, SAMPLERS, ComponentSpace, Search, StudyDefinition
from zoo.study._lookup import find_study, known_studies, load_study, read_study
from zoo.study._objectives import Objective, objectives_text, pareto_front, rank
from zoo.study._places import parse_value
from zoo.study._reader import parse_study

__all__ = [
    "Objective",
    "PRUNERS",
    "SAMPLERS",
    "Search",
    "ComponentSpace",
    "StudyDefinition",
    "find_study",
    "known_studies",
    "load_study",
    "objectives_text",
    "pareto_front",
    "parse_study",
    "rank",
    "read_study",
    "parse_value",
]
