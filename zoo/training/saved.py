"""Saved models: importing plugin modules that a model needs; loading and scoring the model."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout, suppress
from importlib import import_module, metadata, util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.data.store import open_dataset
from zoo.errors import ModelError, PluginError, ZooError, one_line
from zoo.failpoints import failpoint
from zoo.files import STATE_DIR
from zoo.metrics import log_loss
from zoo.registry import (
    describe_with_location,
    given_files,
    import_file,
    imported_digest,
    kept_path,
    library_requirements,
    plugin_requirements,
    short_digest,
    top_level_package,
)
from zoo.training import backend
from zoo.training.info import custom_objects, has_lambda, read_info

if TYPE_CHECKING:
    import keras
    import numpy.typing as npt


def check_layers_registered(network: keras.Model) -> None:
    """Raise PluginError unless Keras can find the classes of `network` when its saved model is loaded."""
    import keras

    try:
        with warnings.catch_warnings(action="ignore"):  # Keras repeats this warning when it saves the model
            config = keras.saving.serialize_keras_object(network)
    except NotImplementedError as error:  # a layer without `get_config`
        raise PluginError(f"its model cannot be saved: {one_line(error)[:300]}") from error
    if has_lambda(config):
        raise PluginError(
            "its model cannot be loaded again, since Keras runs no Python lambda from a file; write a class "
            "of layers in place of the Lambda layer"
        )
    for saved in custom_objects(config):
        if not saved.get("registered_name"):  # a type, not a class of the plugin
            continue
        module = saved["module"] or "__main__"
        subject = f"its class {saved['class_name']} ({module}) cannot be loaded again"
        registered = keras.saving.get_registered_object(saved["registered_name"])
        if registered is None or registered.__module__ != module:
            raise PluginError(
                f"{subject}, since it is not registered with Keras; put "
                "@keras.saving.register_keras_serializable(package=…) above it"
            )
        if "<locals>" in registered.__qualname__:
            raise PluginError(
                f"{subject}, since it is defined inside a function; define it in a module of its own, "
                "which the function imports"
            )


def load_file(path: Path, model_name: str = "") -> keras.Model:
    """Import the plugins that a `.keras` file needs, and return its model; `model_name` is for messages."""
    model_name = model_name or str(path)
    import_required_modules(path, model_name)
    backend.import_keras()
    import keras

    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:
        raise ModelError(f"the model {model_name} cannot be loaded: {cause_of(error)[:300]}") from error


def check_loadable(path: Path) -> None:
    """Raise ZooError unless a saved model can be loaded in this process, which should be fresh."""
    failpoint("worker.loading")
    with warnings.catch_warnings(action="ignore"):
        load_file(path)


def cause_of(error: BaseException) -> str:
    """Return the innermost cause of a loading error of Keras, in one line."""
    return one_line(error).rpartition("Exception encountered: ")[2]


def import_required_modules(path: Path, model_name: str = "") -> None:
    """Import the modules of a model. Warn if a plugin's installed version is not the saved version.

    A module is imported only if it is already imported, or belongs to a zoo plugin or to a library that an
    installed plugin requires. So a model from an unknown source cannot run other code.
    """
    for warning in other_versions(path, model_name):
        warnings.warn(warning, stacklevel=4)  # names the line that called zoo.load_model
    check_plugin_files(path, model_name)
    name, info = model_name or str(path), read_info(path)
    for module, requirement in info.modules.items():
        if f"{module}.py" in info.plugin_files:
            _import_plugin_file(name, module)
        else:
            _import(name, module, requirement)


def check_plugin_files(path: Path, model_name: str = "") -> None:
    """Raise ModelError if the model in a `.keras` file needs a plugin file that was not given."""
    given = {file.name for file in given_files()}
    for name, digest in read_info(path).plugin_files.items():
        if name not in given and name.removesuffix(".py") not in sys.modules:
            raise ModelError(
                f"the model {model_name or path} has layers of the plugin file {name} "
                f"(SHA-256 {short_digest(digest)}…), which was not given; add `--plugin {name}`, in Python "
                f'plugins=["{name}"]. {_copy_note(name, digest, path)}'
            )


def _import_plugin_file(model_name: str, module: str) -> None:
    """Import a plugin file of a model, unless the user has imported it; raise ModelError for its errors."""
    given = {file.module: file for file in given_files()}
    try:
        if module in given:
            with redirect_stdout(sys.stderr):  # as for installed plugins
                backend.import_keras()
                import_file(given[module])
    except (Exception, SystemExit) as error:
        reason = one_line(error) if isinstance(error, ZooError) else describe_with_location(error, module)
        raise ModelError(
            f"the model {model_name} has layers of the plugin file {module}.py, which cannot be imported: "
            f"{reason.removesuffix('.')}."
        ) from error


def _copy_note(name: str, digest: str, model_path: Path) -> str:
    """Return a sentence that names the copy of a plugin file in the study of a model."""
    version, study = short_digest(digest), read_info(model_path).study
    # A trial directory is two levels below the study directory; a model from MLflow is in a temporary folder.
    for folder in (*model_path.absolute().parents[2:3], STATE_DIR / study):
        path = kept_path(folder, name, version)
        if path.is_file():
            return f"A copy is {path}."
    return f"MLflow has a copy: {kept_path(Path(), name, version)} among the artifacts of '{study}'."


def _import(model_name: str, module: str, requirement: str) -> None:
    """Import a module of a model; raise ModelError if it is missing, unknown to zoo, or raises an error."""
    origin = f" ({requirement.replace('==', ' ')})" if requirement else ""
    subject = f"the model {model_name} has layers of {module}{origin}"
    package = top_level_package(module)
    if not package or util.find_spec(package) is None:
        install = f"pip install {requirement}" if requirement else "install the plugin that contains it"
        raise ModelError(f"{subject}, which is not installed; {install}")
    if module not in sys.modules and not _is_of_plugin(package):
        raise ModelError(
            f"{subject}, which is neither a zoo plugin nor a library that one requires; "
            f"import {module} first, if you trust it"
        )
    try:
        backend.import_keras()
        import_module(module)
    except Exception as error:
        install = f"; pip install {requirement}" if requirement else ""
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise ModelError(f"{subject}, which cannot be imported: {reason}{install}") from error


def _is_of_plugin(package: str) -> bool:
    """Return True if a top-level module belongs to an installed plugin, or to a library of any plugin.

    Libraries of an installed plugin are those that it requires; libraries of a plugin file, those it imports.
    """
    if any(package in file.imports for file in given_files()):
        return True
    return package in plugin_requirements() or package in library_requirements()


def other_versions(path: Path, model_name: str = "") -> Iterator[str]:
    """Yield a warning for each plugin whose installed version is not that of the saved model."""
    info = read_info(path)
    for requirement in info.requirements:
        name, _, version = requirement.partition("==")
        installed = ""
        with suppress(Exception):  # `_import` reports a plugin that is missing or has unreadable metadata
            installed = metadata.version(name)
        if version and installed and installed != version:
            yield (
                f"the model {model_name or path} was saved with {name} {version}, but {installed} is "
                f"installed and may give other results; pip install {requirement}"
            )
    given = {file.name: file.digest for file in given_files()}
    for name, digest in sorted(info.plugin_files.items()):
        present = given.get(name) or imported_digest(name.removesuffix(".py"))
        if present and present != digest:
            yield (
                f"the model {model_name or path} was saved with {name} {short_digest(digest)}, but the given "
                f"file is {short_digest(present)} and may give other results. "
                f"{_copy_note(name, digest, path)}"
            )


def score_test_split(model_path: Path, cache: Path, digest: str, predictions_path: Path) -> dict[str, float]:
    """Return `test_accuracy` and `test_loss` of a saved model on the test split of a prepared dataset.

    Labels and probabilities are written to `predictions_path`, an `.npz` file.
    """
    probabilities, labels = predict_splits(model_path, cache, digest)
    np.savez(predictions_path, probabilities=probabilities, labels=labels)
    return scores(probabilities, labels)


def predict_splits(
    model_path: Path, cache: Path, digest: str, splits: Sequence[str] = ("test",)
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.integer]]:
    """Return class probabilities `(n, num_classes)` and labels `(n,)` of splits, one after another."""
    from zoo.training.model import predict

    dataset, model = open_dataset(cache, digest), load_file(model_path)
    found = [getattr(dataset, name) for name in splits]
    probabilities = [predict(model, split.images) for split in found]
    return np.concatenate(probabilities), np.concatenate([np.asarray(split.labels) for split in found])


def scores(probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]) -> dict[str, float]:
    """Return `test_accuracy`, from 0 to 1, and `test_loss`, the mean cross-entropy in nats."""
    return {
        "test_accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
        "test_loss": log_loss(labels, probabilities),
    }
