"""Studies: TOML files that fix or search parameters, validated against the registry without Keras.

One rule applies everywhere: a value fixes a parameter, a table searches it, and a parameter that is not
mentioned is searched in the plugin's range.
"""

from zoo.study._definition import ComponentSpace, StudyDefinition
from zoo.study._document import parse_setting
from zoo.study._lookup import check_files, find_study, known_studies, load_study
from zoo.study._objectives import Objective, dominates, objectives_text, pareto_front, rank
from zoo.study._reader import name_problem, parse_study
from zoo.study._recorded import split_settings
from zoo.study._search import PRUNERS, SAMPLERS, Search
