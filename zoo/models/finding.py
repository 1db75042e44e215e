"""Finding a trained model by any of its names.

mnist_cnn                              the best trial of a study, or a registered model
mnist_cnn@champion, mnist_cnn/3        a registered model, by alias or version
models:/m-…, models:/NAME/3, runs:/…   an address in MLflow
mlruns/zoo/mnist_cnn/trials/006        the directory of a trial or standalone run
mlruns/1/models/m-…/artifacts          a folder of MLflow, with a model or with the artifacts of a run
model.keras                            a file
"""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from zoo.data import Dataset
from zoo.data.store import open_dataset
from zoo.errors import ModelError
from zoo.models.listing import registered_parts
from zoo.models.recorded import dataset_of, find_run, model_of
from zoo.record import Run, StudyDirectory, TrialDirectory, run_in
from zoo.training.info import ModelInfo, read_info
from zoo.tuning.display import Display, PlainDisplay

if TYPE_CHECKING:
    from zoo.tracking import Store

EXPECTED = (
    "a study, a registered model (NAME, NAME@ALIAS, NAME/VERSION), an address in MLflow, the folder of a "
    "run, or a .keras file"
)
_MAX_FILE_NAME = 255  # bytes; the limit of most file systems
_RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, eq=False)
class FoundModel:
    """A trained model: its file, and the facts about it.

    Args:
        name: a name for messages: the user's text, or the trial or address that the text means.
        path: the `.keras` file. A copy from MLflow is deleted with this object.
        info: the facts in the file; for a recorded run, with the current name of its study.
        run: the recorded trial or standalone run, if the model was found in its folder; else None.
        address: the address in MLflow, if the model was found there; else "".
    """

    name: str
    path: Path
    info: ModelInfo
    run: Run | None = None
    address: str = ""

    def dataset(self, display: Display | None = None) -> Dataset:
        """Return the dataset that the model was trained on; a recorded run's dataset may be prepared again.

        Raises:
            ZooError: the dataset is not in the cache of the working folder, or cannot be prepared again.
        """
        if self.run is not None:
            return dataset_of(self.run, display or PlainDisplay())
        return self.cached_dataset()

    def cached_dataset(self) -> Dataset:
        """Return the dataset that the model was trained on; raise DataError if the cache lacks it."""
        if self.run is not None:
            return open_dataset(self.run.cache_dir, self.run.config.digest)
        return open_dataset(StudyDirectory(Path.cwd(), "").cache_dir, self.info.digest)


def find_model(model: str | Path, display: Display | None = None) -> FoundModel:
    """Return the model that `model` names; the docstring of this module lists the forms of names.

    If several models match, a study comes first, then an existing path, then a registered model. A name of
    both a study and a folder with a model is an error. The name of a registered model means its version with
    the alias `champion`, or else its newest version.

    Args:
        display: shows problems with the record; plain lines on stderr by default.

    Raises:
        ModelError: there is no such model, or the name is ambiguous.
        ZooError: MLflow does not answer, or the model does not exist any more.
    """
    text, path = str(model), Path(model)
    if text.startswith("~"):
        with suppress(RuntimeError):  # `~NAME` with an unknown user
            path = path.expanduser()
    display = display or PlainDisplay()
    registered = registered_parts(text)
    if registered and text.startswith("models:/"):
        return _registered(_store(), registered)
    if ":/" in text:
        return _in_mlflow(_store(), text)
    if any(len(os.fsencode(part)) > _MAX_FILE_NAME for part in path.parts):
        raise ModelError(f"there is no model {text}: the name is too long. Expected {EXPECTED}.")
    is_study_file = path.suffix == ".toml"
    is_name = isinstance(model, str) and path.suffix != ".keras" and ("/" not in text or is_study_file)
    if is_name and StudyDirectory(Path.cwd(), text).numbers():
        if not is_study_file and _model_in(path) is not None:
            raise ModelError(
                f"'{text}' is a study, and a folder with a model; write ./{text} for the folder."
            )
        run = find_run(text, None, None, display)
        return _of_run(run, f"{run.study} ({run.name})")
    if path.exists():
        return _at_path(path)
    if isinstance(model, str) and (registered.get("alias") or registered.get("version")):
        return _registered(_store(text), registered)
    if not is_name:
        raise ModelError(f"there is no model {text}. Expected {EXPECTED}.")
    from zoo.tracking import named_address

    store = _store(text)
    address = named_address(store, text)
    # `named_address` returns a path if MLflow lacks the best trial of the study.
    return _in_mlflow(store, address) if ":/" in address else _at_path(Path(address))


def _store(name: str = "") -> Store:
    """Connect to MLflow; raise ModelError about the model `name` if there is no store."""
    from zoo.tracking import connect, is_new_store

    if name and is_new_store():
        raise ModelError(
            f"there is no model '{name}': this folder has neither a study '{name}' nor an MLflow database. "
            f"Expected {EXPECTED}."
        )
    return connect(create=False)


def _registered(store: Store, parts: Mapping[str, str]) -> FoundModel:
    from zoo.tracking import registered_address

    return _in_mlflow(store, registered_address(store, **parts))


def _at_path(path: Path) -> FoundModel:
    """Return the model in a file or folder."""
    if TrialDirectory(path).event_log.path.exists():
        return _of_run(run_in(path), str(path))
    file = _model_in(path)
    if file is not None:
        return FoundModel(str(path), file, read_info(file))
    resolved = path.resolve()
    for folder in (resolved, resolved.parent):  # `mlruns/1/RUN/artifacts` has no model itself
        if path.is_dir() and _RUN_ID.fullmatch(folder.name):
            return _in_mlflow(_store(), f"runs:/{folder.name}")
    raise ModelError(f"{path} has no model. Expected {EXPECTED}.")


def _model_in(path: Path) -> Path | None:
    """Return `path` if it is a file, else the model file in this folder, or None if it has none."""
    folders = (path, path / "data", path / "artifacts" / "data")
    candidates = [path] if path.is_file() else [folder / "model.keras" for folder in folders]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _of_run(run: Run, name: str) -> FoundModel:
    """Return the model of a recorded run: the local file, or else a copy from MLflow."""
    with ExitStack() as stack:
        path = stack.enter_context(model_of(run))
        info = read_info(path)
        is_copy = run.uid() is None and info.study  # a copied folder does not name its study
        if not is_copy:  # the study may have been renamed since
            info = replace(info, study=run.study, trial=run.number)
        return _with_cleanup(stack, FoundModel(name, path, info, run))


def _in_mlflow(store: Store, address: str) -> FoundModel:
    """Return a copy of the model at an address in MLflow."""
    from zoo.tracking import fetch_model_file

    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="zoo-model-"))
        path = fetch_model_file(store, address, Path(folder))
        name = address.removeprefix("models:/") if registered_parts(address) else address  # NAME/VERSION
        return _with_cleanup(stack, FoundModel(name, path, read_info(path), address=address))


def _with_cleanup(stack: ExitStack, found: FoundModel) -> FoundModel:
    """Return `found`; close `stack`, which has its temporary files, when `found` is deleted."""
    weakref.finalize(found, stack.pop_all().close)
    return found
