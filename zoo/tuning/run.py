"""`zoo.tune`, `zoo.train`, `zoo.compare`: the command line and notebooks call these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import StudyError
from zoo.registry import KINDS, Registry, plugin_versions, requirement_of
from zoo.study import StudyDefinition, load_study
from zoo.tracking import connect, leaderboard
from zoo.trial import TrialConfig
from zoo.tuning.display import Display, PlainDisplay
from zoo.tuning.record import StudyRecord
from zoo.tuning.results import TrainResult, TuneResult
from zoo.tuning.samplers import check_sampler
from zoo.tuning.search import OptunaSearch, default_storage
from zoo.tuning.session import Session

if TYPE_CHECKING:
    import pandas as pd


def tune(
    study: str,
    *,
    trials: int | None = None,
    jobs: int = 1,
    sampler: str | None = None,
    pruner: str | None = None,
    overrides: Sequence[str] = (),
    name: str | None = None,
    storage: str | None = None,
    accept_versions: bool = False,
    display: Display | None = None,
    command: str = "zoo.tune",
) -> TuneResult:
    """Search as `study` says, until it has its number of trials; go on with one that was begun.

    Args:
        study: a name, looked up in `./studies` and among the shipped ones, or the path of a file.
        trials: the study's number of trials in all, instead of the file's.
        jobs: trials at once, at least 1.
        sampler, pruner: instead of the file's.
        overrides: as `--set` takes them: `["training.epochs=3"]`.
        name: to record it under, instead of the file's.
        storage: an Optuna storage URL, instead of `mlruns/optuna.db`.
        accept_versions: go on although versions or code of plugins changed.
        display: told of the progress; plain lines on stderr by default.
        command: what the user typed, for the record in MLflow.

    Raises:
        ZooError: something a person can put right; nothing was started.
        TooManyFailures: three trials in a row failed.
    """
    if jobs < 1:
        raise StudyError(f"--jobs: expected a whole number from 1, but got {jobs}")
    root = Path.cwd()
    registry = Registry.load()
    definition = _load(study, registry, overrides, name, root)
    definition = definition.with_search(trials=trials, sampler=sampler, pruner=pruner)
    check_sampler(definition)
    url = storage or default_storage(root)
    with Session(definition, root, jobs, display or PlainDisplay()) as session:
        for problem in registry.problems:
            session.display.problem(problem)
        if jobs > 1 and "latency_ms" in [objective.metric for objective in definition.objectives]:
            session.display.problem(
                f"with --jobs {jobs} each network's latency_ms is measured while others train, and says "
                "little; leave --jobs at 1"
            )
        return session.search_with(
            lambda manifest: OptunaSearch(
                definition, manifest, url, record=session.record, accept_versions=accept_versions
            )
        )


def train(
    study: str,
    *,
    trial: int | None = None,
    overrides: Sequence[str] = (),
    name: str | None = None,
    display: Display | None = None,
    command: str = "zoo.train",
) -> TrainResult:
    """Train a study's baseline, or one of its trials again with the same parameters and seed.

    The search is left as it is: this is a run of its own in the study's MLflow experiment.

    Args:
        study, overrides, name: as for `tune`.
        trial: the number of a trial in `./mlruns/zoo`; the baseline by default.
        command: what the user typed, for the record in MLflow.

    Raises:
        ZooError: something a person can put right; nothing was started.
        TrialFailed: the training did not come to its end.
    """
    root = Path.cwd()
    registry = Registry.load()
    definition = _load(study, registry, overrides, name, root)
    if trial is not None and overrides:
        raise StudyError("--trial trains what that trial trained, so --set cannot change it")
    problems, recorded = registry.problems, None
    if trial is not None:
        recorded = _recorded(root, definition, trial)
        recorded, differences = with_plugins_of_today(trial, recorded, registry)
        problems += differences
        # The split that was recorded, whatever the file says today: it is what its figures are of.
        definition = replace(definition, validation=recorded.validation)
    with Session(definition, root, jobs=1, display=display or PlainDisplay()) as session:
        for problem in problems:
            session.display.problem(problem)
        digest = session.prepared.digest
        if recorded is not None and recorded.digest != digest:
            raise StudyError(
                f"Trial {trial} of '{definition.name}' was trained on other data "
                f"({recorded.digest[:12]}…, now {digest[:12]}…), so it cannot be trained again."
            )
        return session.train(recorded or definition.baseline(digest, definition.seed_of(0)), trial)


def compare(*studies: str) -> pd.DataFrame:
    """The trials of one study or several, best first, as MLflow has them.

    Columns: `study`, `trial`, `state`, `reason`, the best objective, `best_epoch`, `parameters`,
    `train_seconds`, every parameter, `dataset.digest`, `run_id`, and `model`, an address for
    `mlflow.keras.load_model`. Several studies stay apart, in the order given. With several objectives
    each has a column, and `front` says which trials no other beats; with folds there are the
    objective's spread, such as `best_val_accuracy_std`, and `best_fold`.

    Raises:
        TrackingError: MLflow cannot be reached, or holds no such study.
    """
    import pandas as pd

    if not studies:
        raise StudyError("There is nothing to compare; name a study: zoo.compare('mnist_cnn')")
    store = connect(create=False)
    tables = []
    for study in studies:
        table = leaderboard(study, store)
        table.insert(0, "study", study)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def with_plugins_of_today(
    trial: int, config: TrialConfig, registry: Registry
) -> tuple[TrialConfig, list[str]]:
    """What a trial trained, as the plugins installed now would train it, and a line for each that changed.

    Raises:
        PluginError: something of it is not registered any more.
    """
    now = plugin_versions(*(registry.get(kind, getattr(config, kind).name) for kind in KINDS))
    then = config.plugins
    changed = {
        f"trial {trial} was trained with {name} {then[key]}, now it is with {name} {version}"
        for key, version in now.items()
        if (name := key.partition(":")[0]) and then.get(key, version) != version
    }
    return replace(config, plugins=now), sorted(changed)


def _load(
    study: str, registry: Registry, overrides: Sequence[str], name: str | None, root: Path
) -> StudyDefinition:
    """The study; where it is not in order, whatever its trials used that is not installed is told too."""
    try:
        return load_study(study, registry, overrides=overrides, name=name, folder=root)
    except StudyError as error:
        gone = _gone(StudyRecord(root, name or Path(study).stem), registry)
        raise StudyError("\n".join([str(error), *gone])) from None


def _gone(record: StudyRecord, registry: Registry) -> list[str]:
    """A line for every distribution that trials of the study used and that is not there."""
    here = {plugin.distribution for plugin in registry.plugins}
    used: dict[str, str] = {}
    for number in record.numbers():
        plugins = (record.trial(number).config() or {}).get("plugins", {})
        used |= {key.partition(":")[0]: version for key, version in plugins.items()}
    return [
        f"trials of this study used {name} {version}; pip install {requirement_of(name, version)}"
        for name, version in sorted(used.items())
        if name not in here
    ]


def _recorded(root: Path, definition: StudyDefinition, trial: int) -> TrialConfig:
    """What trial number `trial` of the study trained."""
    record = StudyRecord(root, definition.name)
    document = record.trial(trial).config()
    if document is None:
        raise StudyError(
            f"There is no trial {trial} of '{definition.name}' in {record.folder / 'trials'}; "
            f"`zoo compare --study {definition.name}` lists its trials."
        )
    return TrialConfig.from_json(document)
