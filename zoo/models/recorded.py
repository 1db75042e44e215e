"""The model and the dataset of a recorded run, and finding that run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.data import Dataset, Split
from zoo.data.prepare import prepare_in_memory, prepare_in_process
from zoo.data.store import PreparedDataset, open_dataset
from zoo.data.validation import cut_validation, open_with_groups, validation_split
from zoo.errors import DataError, SpaceError, StudyError, ZooError
from zoo.record import (
    Run,
    StudyDirectory,
    best_run,
    create_folder,
    load_runs,
    not_in_cache,
    pick_runs,
    run_in,
)
from zoo.registry import IN_MEMORY, Component, Registry, given_files, is_file_key, kept_path
from zoo.study import parse_setting
from zoo.training.saved import other_versions
from zoo.training.worker import call_in_worker
from zoo.trial import PluginConfig
from zoo.tuning.display import Display
from zoo.tuning.lifecycle import refresh_deleted


def current_runs(study: str, display: Display) -> list[Run]:
    """Return the recorded trials of a study, by number, without those that were deleted here or in MLflow."""
    refresh_deleted(study, display.problem)
    return load_runs(study, display.problem)


def find_run(
    study: str | None, trial: int | None, run: str | os.PathLike[str] | None, display: Display
) -> Run:
    """Return a trial by study and number, the best trial of a study, or the run in a folder."""
    if run is not None:
        if study is not None or trial is not None:
            raise StudyError("--run already names a run; leave out the study and --trial")
        return run_in(Path(run))
    if study is None:
        raise StudyError("expected a study, or the folder of a run with --run FOLDER, got neither.")
    runs = current_runs(study, display)
    return best_run(runs) if trial is None else pick_runs([trial], runs)[0]


def call_on_model(function: Callable[..., Any], run: Run, display: Display, *arguments: Any) -> Any:
    """Return `function(model_path, *arguments)`, called in a worker process; errors name the run."""
    with model_of(run) as model_path:
        try:
            for warning in other_versions(model_path, f"of {run.name} of '{run.study}'"):
                display.problem(warning)
            return call_in_worker(function, model_path, *arguments, log_path=run.directory.output_path)
        except ZooError as error:
            raise ZooError(f"{run.title}: {error}") from None


@contextmanager
def model_of(run: Run) -> Iterator[Path]:
    """Yield the model file of a complete run: the local file, or else a copy from MLflow."""
    run.check_complete()
    if run.directory.model_path.exists():
        yield run.directory.model_path
        return
    from zoo.tracking import connect, fetch_model

    uid = None if run.number is None else run.uid()
    if uid is None:
        raise StudyError(f"{run.description} has no model any more: expected {run.directory.model_path}")
    with tempfile.TemporaryDirectory(prefix="zoo-model-") as folder:
        yield fetch_model(connect(create=False), run.study, uid, Path(folder))


def validation_data(run: Run, display: Display) -> tuple[Split, tuple[str, ...]]:
    """Return the validation images of the run, and the class names."""
    config = run.config
    dataset = dataset_of(run, display)
    cut_validation(run.cache_dir, config.digest, dataset, config.validation)
    split = validation_split(run.cache_dir, config.digest, dataset, config.validation)
    return split, tuple(dataset.class_names)


def dataset_of(run: Run, display: Display) -> Dataset:
    """Return the dataset that the run was trained on, from the cache, or prepared again."""
    config = run.config
    try:
        return open_with_groups(run.cache_dir, config.digest, config.validation)
    except DataError:
        if config.dataset.name == IN_MEMORY:
            raise not_in_cache(run.study, config.digest, run.cache_dir) from None
        _check_plugin_files(run)
        prepared = prepare(config.dataset, config.validation, run.cache_dir, display)
    if prepared.digest != config.digest:
        raise StudyError(
            f"{run.description} was trained on other data ({config.digest[:12]}…, now "
            f"{prepared.digest[:12]}…), so its images are not available."
        )
    return open_dataset(run.cache_dir, config.digest)


def recorded_in_memory(study: str) -> Dataset | None:
    """Return the cached dataset of a study on data in memory; None for other studies."""
    directory = StudyDirectory(Path.cwd(), study)
    digest = directory.digest_in_memory()
    if digest is None:
        return None
    try:
        return open_dataset(directory.cache_dir, digest)
    except DataError:
        raise not_in_cache(directory.study, digest, directory.cache_dir) from None


def _check_plugin_files(run: Run) -> None:
    """Raise StudyError if the dataset of the run is unknown, because its plugin file was not given."""
    given = {file.key for file in given_files()}
    if run.config.dataset.name in Registry.load().names("dataset"):
        return
    study = StudyDirectory(Path.cwd(), run.study)
    for key, version in run.config.plugins.items():
        if is_file_key(key) and key not in given:
            name = key.partition(":")[0]
            raise StudyError(
                f"the dataset of {run.description} must be prepared again, which needs the plugin file "
                f"{name} {version}; add `--plugin {kept_path(study.path, name, version)}`."
            )


def prepare(
    dataset: PluginConfig | Dataset, validation: Mapping[str, Any], cache_dir: Path, display: Display
) -> PreparedDataset:
    """Prepare a dataset as `zoo tune` does: a plugin's in its own process, a `Dataset` in this process."""
    display.phase("preparing the dataset …")
    create_folder(cache_dir)
    if not isinstance(dataset, PluginConfig):
        prepared = prepare_in_memory(dataset, validation, cache_dir, display.preparing)
    else:
        log = cache_dir / "prepare.log"
        prepared = prepare_in_process(dataset, validation, cache_dir, log, display.preparing)
    if prepared.warning:
        display.problem(prepared.warning)
    return prepared


def configure(
    component: Component, overrides: Sequence[str], values: Mapping[str, Any] | None = None
) -> PluginConfig:
    """Return the configuration of `component` with `values`; `overrides` (`count=500`) replace them."""
    values = dict(values or {})
    for override in overrides:
        key, value = parse_setting(override, "rotation=20")
        values[key.removeprefix(f"{component.kind}.")] = value
    try:
        return PluginConfig(component.name, component.space.check(values))
    except SpaceError as error:
        raise SpaceError(f"--set: the {component.kind} '{component.name}': {error}") from None
