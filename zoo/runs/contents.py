"""What a recorded trial has: its model, and the dataset it was trained on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.data import Dataset, Split
from zoo.data.prepare import finish_preparing, start_preparing
from zoo.data.store import PreparedDataset, cut_validation, open_dataset, validation_split
from zoo.errors import DataError, StudyError, ZooError
from zoo.runs.finding import Run
from zoo.training.saved import other_versions
from zoo.training.worker import call_in_worker
from zoo.trial import PluginConfig
from zoo.tuning.display import Display


@contextmanager
def model_of(run: Run) -> Iterator[Path]:
    """The file of a complete run's model: the one beside its record, or else a copy of MLflow's.

    Raises:
        ZooError: neither is there.
    """
    run.check_complete()
    local = run.folder / "model.keras"
    if local.exists():
        yield local
        return
    from zoo.tracking import connect, fetch_model

    uid = None if run.number is None else run.uid
    if uid is None:
        raise StudyError(f"{run.told} has no model any more: expected {local}")
    with tempfile.TemporaryDirectory(prefix="zoo-model-") as folder:
        yield fetch_model(connect(create=False), run.study, uid, Path(folder))


def validation_data(run: Run, display: Display) -> tuple[Split, tuple[str, ...]]:
    """The images that the run was validated with, and the names of the classes.

    Raises:
        ZooError: they cannot be had, or are not what they were.
    """
    config = run.config
    dataset = dataset_of(run, display)
    cut_validation(run.cache, config.digest, dataset, config.validation)
    split = validation_split(run.cache, config.digest, dataset, config.validation)
    return split, tuple(dataset.class_names)


def dataset_of(run: Run, display: Display) -> Dataset:
    """The dataset that the run was trained on: from the cache, or prepared again where it is gone from there.

    Raises:
        ZooError: it cannot be had, or is not what it was.
    """
    config = run.config
    try:
        return open_dataset(run.cache, config.digest)
    except DataError:
        prepared = prepare(config.dataset, config.validation, run.cache, display)
    if prepared.digest != config.digest:
        raise StudyError(
            f"{run.told} was trained on other data "
            f"({config.digest[:12]}…, now {prepared.digest[:12]}…), so its images cannot be had."
        )
    return open_dataset(run.cache, config.digest)


def ask_model(question: Callable[..., Any], run: Run, display: Display, *arguments: Any) -> Any:
    """Return `question(model_path, *arguments)`, called in a worker process on the model of a run.

    Raises:
        ZooError: `question` raised, the process died, or there is no model; names the run.
    """
    with model_of(run) as model:
        try:
            tell_versions(model, run, display)
            return call_in_worker(question, model, *arguments, log_path=run.folder / "output.log")
        except ZooError as error:
            raise ZooError(f"{run.title}: {error}") from None


def tell_versions(model: Path, run: Run, display: Display) -> None:
    """Warn, as zoo.load_model does, where a plugin is installed in another version than the model's.

    Raises:
        ZooError: it is no file that Keras saved.
    """
    for warning in other_versions(model, f"of {run.name} of '{run.study}'"):
        display.problem(warning)


def prepare(
    dataset: PluginConfig, validation: Mapping[str, Any], cache: Path, display: Display
) -> PreparedDataset:
    """Have a dataset prepared in a process of its own, as `zoo tune` does.

    Raises:
        ZooError: it cannot be.
    """
    display.phase("preparing the dataset …")
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ZooError(
            f"{cache} cannot be written ({error.strerror}); prepared datasets are kept there. "
            "Run zoo in a folder you may write to, or set ZOO_CACHE_DIR to one."
        ) from None
    preparing = start_preparing(dataset, validation, cache, cache / "prepare.log")
    try:
        prepared = finish_preparing(preparing, dataset, display.preparing)
    finally:
        preparing.kill()
    if prepared.warning:
        display.problem(prepared.warning)
    return prepared
