"""The folder of an MLflow model around a trial's `model.keras`, written without importing Keras.

`mlflow.keras.save_model` writes the same folder, but needs the model as a Keras object, and the
supervisor does not import Keras:

    MLmodel                       flavors, signature, metadata
    data/model.keras              the file that the trial wrote
    data/keras_module.txt         "keras"
    requirements.txt, conda.yaml, python_env.yaml

If the model has layers of a plugin, the plugin's distribution is a requirement, the metadata list the
modules to import, and MLflow's pyfunc loads the model with `zoo.tracking.loader`, which imports them.

The requirements are stated, since MLflow takes 20 s per model to infer them, and leaves out Keras.
"""

from __future__ import annotations

import json
import platform
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.files import link_or_copy
from zoo.tracking._store import TrackingError
from zoo.training.saved import needs_of, requirements

if TYPE_CHECKING:
    from mlflow.models import ModelSignature


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a model that its file does not state.

    Args:
        image_shape: `(height, width, channels)` of the raw pixels 0–255 that the model takes.
        num_classes: the model returns probabilities `(batch, num_classes)`.
        backend: the Keras backend it was trained with; "" if unknown.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    backend: str


def build_model_folder(
    folder: Path, file: Path, facts: ModelFacts, *, origin: Mapping[str, str] | None = None
) -> None:
    """Write an MLflow model of flavor `keras` around `file` into the new folder `folder`.

    Args:
        file: a `model.keras`; linked rather than copied if the file system can.
        origin: arguments of MLflow's `Model` that name its run and its place: `run_id`, `model_id` ….

    Raises:
        TrackingError: `file` is not a model that Keras saved.
    """
    from mlflow import pyfunc
    from mlflow.models import Model

    keras_version = _saved_by(file)
    needs = needs_of(file)
    (folder / "data").mkdir(parents=True)
    link_or_copy(file, folder / "data" / "model.keras")
    (folder / "data" / "keras_module.txt").write_text("keras", encoding="utf-8")
    metadata = {"metadata": {"zoo": {"modules": needs}}} if needs else {}
    model = Model(signature=_signature(facts), **metadata, **(origin or {}))
    model.add_flavor(
        "keras",
        data="data",
        keras_version=keras_version,
        keras_backend=facts.backend,
        save_exported_model=False,
    )
    pyfunc.add_to_model(
        model,
        loader_module="zoo.tracking.loader" if needs else "mlflow.keras",
        conda_env="conda.yaml",
        python_env="python_env.yaml",
    )
    model.model_size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    model.save(str(folder / "MLmodel"))
    _write_environment(folder, _requirements(keras_version, facts.backend, needs))


def _saved_by(file: Path) -> str:
    """Return the version of Keras that wrote a `.keras` file.

    Raises:
        TrackingError: it is not such a file, or is cut off.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return str(json.loads(archive.read("metadata.json"))["keras_version"])
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise TrackingError(f"{file} is not a model that Keras saved ({error}).") from error


def _signature(facts: ModelFacts) -> ModelSignature:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("uint8"), (-1, *facts.image_shape))]),
        outputs=Schema([TensorSpec(np.dtype("float32"), (-1, facts.num_classes))]),
    )


def _requirements(keras_version: str, backend: str, needs: Mapping[str, str]) -> list[str]:
    """Return what must be installed to load the model, in the versions that are installed here.

    If the model has layers of plugins, that includes the plugins, and zoo for its loader.
    """
    packages = [_pinned(name) for name in (backend, "numpy") if name]
    plugins = [*requirements(needs), _pinned("keras-zoo")] if needs else []
    return [_pinned("mlflow"), f"keras=={keras_version}", *packages, *plugins]


def _pinned(module: str) -> str:
    """Return `module==version`, with the name of the distribution that provides the module here."""
    try:
        return f"{module}=={version(module)}"
    except PackageNotFoundError:
        for name in packages_distributions().get(module, ()):
            return f"{name}=={version(name)}"
    return module


def _write_environment(folder: Path, requirements: Sequence[str]) -> None:
    """Write `requirements.txt`, `conda.yaml` and `python_env.yaml` as MLflow does."""
    import yaml  # type: ignore[import-untyped]  # a dependency of MLflow

    python = platform.python_version()
    pip = _pinned("pip").replace("==", "<=")  # conda's channels have a new pip some days later
    conda_env = {
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", pip, {"pip": list(requirements)}],
        "name": "mlflow-env",
    }
    python_env = {
        "python": python,
        "build_dependencies": [_pinned(package) for package in ("pip", "setuptools", "wheel")],
        "dependencies": ["-r requirements.txt"],
    }
    (folder / "requirements.txt").write_text("\n".join(requirements), encoding="utf-8")
    for name, content in {"conda.yaml": conda_env, "python_env.yaml": python_env}.items():
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
