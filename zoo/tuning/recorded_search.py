"""Reading a recorded study in Optuna: its trials, its manifest, and the importances of its parameters."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError, one_line
from zoo.record import StudyDirectory
from zoo.study import Objective
from zoo.tuning.storage import open_storage, sqlite_path, storage_url

if TYPE_CHECKING:
    import optuna

MANIFEST = "zoo.manifest"  # an attribute of the Optuna study
MIN_TRIALS_FOR_IMPORTANCES = 10
"""Number of complete trials. With fewer, chance decides which parameter comes first.

On benchmarks/regret_table.csv, the rank correlation with the importances of 400 trials is 0.3 for 4 to 10
trials, 0.5 for 20 and 0.8 for 30.
"""

_ITEM = re.compile(r"([^.]+\..+)\.(length|\d+)")  # `net.units.2`; a parameter may have the name `net.length`


def recorded_study(directory: StudyDirectory, url: str | None = None) -> optuna.Study | None:
    """Return a copy in memory of a recorded study in Optuna; None if Optuna does not have the study.

    The storage is only read. Trials keep their numbers: deleted and queued trials are in the state WAITING,
    which no figure of Optuna shows except the timeline.

    Args:
        url: the URL of the Optuna storage; by default the recorded one, which has no password.
    """
    import optuna

    url = storage_url(directory, url)
    path = sqlite_path(url)
    if path is not None:
        if not path.exists():
            return None
        url = f"sqlite:///file:{path}?mode=ro&uri=true"
    try:
        storage = open_storage(url, directory.path.parent, is_new=False)
        if directory.study not in optuna.get_all_study_names(storage):
            return None
        recorded = optuna.load_study(study_name=directory.study, storage=storage)
        trials = recorded.get_trials(deepcopy=False)
        attributes = recorded.user_attrs
    except ZooError:
        raise
    except Exception as error:
        raise ZooError(
            f"cannot read the Optuna study '{directory.study}': {one_line(error)[:200]}"
        ) from error
    copy = optuna.create_study(study_name=directory.study, directions=recorded.directions)
    hidden = optuna.trial.create_trial(state=optuna.trial.TrialState.WAITING)
    deleted = directory.deleted_trials()
    is_hidden = [trial.number in deleted or trial.state.name == "WAITING" for trial in trials]
    copy.add_trials(hidden if hide else trial for trial, hide in zip(trials, is_hidden, strict=True))
    copy.set_user_attr(MANIFEST, attributes.get(MANIFEST, "{}"))
    return copy


def recorded_manifest(study: optuna.Study) -> dict[str, Any]:
    """Return the manifest of a study that `recorded_study` returned; {} if it has none."""
    manifest: dict[str, Any] = json.loads(study.user_attrs[MANIFEST])
    return manifest


def importances_of(study: optuna.Study, objective: Objective) -> dict[str, float]:
    """Return the importance of each suggestion for the first objective, largest first.

    Return {} if no parameter was searched, or if there are too few complete trials, or all have equal values.
    """
    import optuna

    complete = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    if len(complete) < MIN_TRIALS_FOR_IMPORTANCES:  # Optuna would import scikit-learn, which takes 0.7 s
        return {}
    # With a target, Optuna assumes that lower values are better.
    target = None if len(study.directions) == 1 else lambda trial: objective.loss(trial.values[0])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", "(?s).*importances will be equal")
            return dict(optuna.importance.get_param_importances(study, target=target))
    except Exception:  # no parameter, or equal values: an error or a warning of Optuna
        return {}


def total_importances(importances: Mapping[str, float]) -> dict[str, float]:
    """Return the importances of parameters, largest first; a list has the sum of its length and items."""
    totals: dict[str, float] = {}
    for suggestion, value in importances.items():
        name, _ = split_suggestion(suggestion)
        totals[name] = totals.get(name, 0.0) + value
    return dict(sorted(totals.items(), key=lambda item: -item[1]))


def split_suggestion(name: str) -> tuple[str, str]:
    """Return the parameter of a suggestion, and its part of a list: `length`, an item's number, or ""."""
    found = _ITEM.fullmatch(name)
    return (found[1], found[2]) if found else (name, "")
