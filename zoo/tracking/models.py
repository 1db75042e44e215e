"""A trial's `model.keras` as an MLflow model that anybody can load, made without importing Keras.

MLflow's own `mlflow.keras.save_model` writes this folder, but needs the model as a Keras object. The
supervisor has only the file, and wants to stay free of Keras:

    MLmodel                       flavors, signature, requirements' place
    data/model.keras              the file, as the trial wrote it
    data/keras_module.txt         "keras"
    requirements.txt, conda.yaml, python_env.yaml

Where layers are of a plugin, its distribution is among the requirements, the modules to import among
the metadata, and MLflow's pyfunc loads with `loader.py`, which imports them.

Requirements are stated: having MLflow infer them takes 20 s a model and leaves out Keras.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.tracking.store import Store, TrackingError, quoted, reason, shown
from zoo.training.saved import Needs, needs_of

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.models import ModelSignature


@dataclass(frozen=True)
class ModelFacts:
    """What the file itself does not say.

    Args:
        image_shape: `(height, width, channels)` of the raw pixels 0–255 that go in.
        num_classes: how many probabilities come out.
        backend: the Keras backend it was trained with; "" where nobody said.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    backend: str


def build_model_folder(
    folder: Path, file: Path, facts: ModelFacts, *, origin: Mapping[str, str] | None = None
) -> None:
    """Write an MLflow model of flavor `keras` around `file` into the new folder `folder`.

    Args:
        file: a `model.keras`; linked rather than copied where the file system can.
        origin: what MLflow's `Model` takes to know its run and its place: `run_id`, `model_id` ….

    Raises:
        TrackingError: `file` is not a model that Keras saved.
    """
    from mlflow import pyfunc
    from mlflow.models import Model

    keras_version = saved_by(file)
    needs = needs_of(file)
    requirements = [*_requirements(keras_version, facts.backend), *_requirements_of_plugins(needs)]
    (folder / "data").mkdir(parents=True)
    _link(file, folder / "data" / "model.keras")
    (folder / "data" / "keras_module.txt").write_text("keras", encoding="utf-8")
    about = {"metadata": {"zoo": {"modules": dict(needs.modules)}}} if needs.modules else {}
    model = Model(signature=_signature(facts), **about, **(origin or {}))
    model.add_flavor(
        "keras",
        data="data",
        keras_version=keras_version,
        keras_backend=facts.backend,
        save_exported_model=False,
    )
    pyfunc.add_to_model(
        model,
        loader_module="zoo.tracking.loader" if needs.modules else "mlflow.keras",
        conda_env="conda.yaml",
        python_env="python_env.yaml",
    )
    model.model_size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    model.save(str(folder / "MLmodel"))
    (folder / "requirements.txt").write_text("\n".join(requirements), encoding="utf-8")
    (folder / "conda.yaml").write_text(_conda_yaml(requirements), encoding="utf-8")
    (folder / "python_env.yaml").write_text(_python_env_yaml(), encoding="utf-8")


def saved_by(file: Path) -> str:
    """The version of Keras that wrote a `.keras` file.

    Raises:
        TrackingError: it is not such a file, or is cut off.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return str(json.loads(archive.read("metadata.json"))["keras_version"])
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise TrackingError(f"{file} is not a model that Keras saved ({error}).") from error


def publish_model(
    store: Store,
    run: Any,
    file: Path,
    facts: ModelFacts,
    *,
    name: str,
    step: int,
    metrics: Sequence[Metric],
    tags: Mapping[str, str],
) -> str:
    """Make `file` the run's logged model, with the run's parameters and `metrics`; return its id.

    Safe to do again: what a killed process began is finished, what is READY stays as it is.

    Args:
        run: as MLflow holds it now.
        step: the epoch the weights are from.
        metrics: what is known of the model; with the time and step at which the run has them.

    Raises:
        TrackingError: `file` is not a model that Keras saved.
    """
    from mlflow.entities import LoggedModelOutput, Metric

    client = store.client
    model = _begun_model(store, run) or client.create_logged_model(
        run.info.experiment_id,
        name=name,
        source_run_id=run.info.run_id,
        params=dict(run.data.params),
        tags=dict(tags),
    )
    ready = str(model.status) == "READY"
    if not ready:
        _upload(store, run, model, file, facts)
    if model.model_id not in model_ids(run):
        client.log_outputs(run.info.run_id, models=[LoggedModelOutput(model.model_id, step=step)])
    linked = [
        Metric(metric.key, metric.value, metric.timestamp, metric.step, model_id=model.model_id)
        for metric in metrics
    ]
    client.log_batch(run.info.run_id, metrics=linked, synchronous=True)
    if not ready:
        client.finalize_logged_model(model.model_id, "READY")
    return str(model.model_id)


def _begun_model(store: Store, run: Any) -> Any | None:
    """The run's model from an earlier attempt: READY if there is one, else PENDING."""
    found = {str(model.status): model for model in models_of(store, run)}
    return found.get("READY") or found.get("PENDING")


def models_of(store: Store, run: Any) -> list[Any]:
    """All logged models that came from a run, whatever their status."""
    origin = f"source_run_id = {quoted(run.info.run_id)}"
    return list(store.client.search_logged_models([run.info.experiment_id], filter_string=origin))


def model_ids(run: Any) -> list[str]:
    """The ids of the models that a run names as its output."""
    outputs = getattr(run, "outputs", None)
    return [output.model_id for output in outputs.model_outputs] if outputs else []


def fetch_model(store: Store, study: str, uid: str, folder: Path) -> Path:
    """Copy the `model.keras` of the trial with that `zoo.uid` into `folder`.

    Raises:
        TrackingError: MLflow has none of it, or does not hand it out.
    """
    run = store.run_of(study, uid)
    models = model_ids(run) if run is not None else []
    if not models:
        raise TrackingError(
            f"Neither the trial's folder nor MLflow at {shown(store.uri)} has its model; "
            f"zoo train --study {study} --trial {uid.rpartition('-')[2]} trains it again"
        )
    from mlflow.artifacts import download_artifacts

    try:
        place = store.client.get_logged_model(models[-1]).artifact_location
        file = download_artifacts(f"{place}/data/model.keras", dst_path=str(folder), tracking_uri=store.uri)
    except Exception as error:
        raise TrackingError(
            f"MLflow at {shown(store.uri)} does not hand out the model {models[-1]}: {reason(error)}"
        ) from error
    return Path(file)


def fetch_model_file(store: Store, address: str, folder: Path) -> Path:
    """Copy the `.keras` file of a Keras model that MLflow has into `folder`.

    Args:
        address: as MLflow takes it: `models:/m-…`, `models:/NAME/1`, `runs:/…/model`.

    Raises:
        TrackingError: there is none, or it cannot be had.
    """
    from mlflow.artifacts import download_artifacts

    try:
        copy = download_artifacts(artifact_uri=address, dst_path=str(folder), tracking_uri=store.uri)
    except Exception as error:
        raise TrackingError(f"MLflow at {shown(store.uri)} has no {address}: {reason(error)}") from error
    file = Path(copy) / "data" / "model.keras"
    if not file.exists():
        raise TrackingError(f"{address} is not a model that mlflow.keras or zoo logged.")
    return file


def _upload(store: Store, run: Any, model: Any, file: Path, facts: ModelFacts) -> None:
    origin = {
        "artifact_path": model.artifact_location,
        "model_uuid": model.model_id,
        "run_id": run.info.run_id,
        "model_id": model.model_id,
    }
    with tempfile.TemporaryDirectory(prefix=".mlflow-model-", dir=file.parent) as folder:
        build_model_folder(Path(folder), file, facts, origin=origin)
        store.client.log_model_artifacts(model.model_id, folder)


def _signature(facts: ModelFacts) -> ModelSignature:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("uint8"), (-1, *facts.image_shape))]),
        outputs=Schema([TensorSpec(np.dtype("float32"), (-1, facts.num_classes))]),
    )


def _requirements(keras_version: str, backend: str) -> list[str]:
    """What has to be installed to load the model, as it was here when it was made."""
    others = [_pinned(name) for name in (backend, "numpy") if name]
    return [_pinned("mlflow"), f"keras=={keras_version}", *others]


def _requirements_of_plugins(needs: Needs) -> list[str]:
    """Those that have layers of the model, and zoo, whose loader imports them."""
    return [*needs.requirements, _pinned("keras-zoo")] if needs.modules else []


def _pinned(module: str) -> str:
    """`module==version`, under the name of the distribution that provides it here."""
    try:
        return f"{module}=={version(module)}"
    except PackageNotFoundError:
        for name in packages_distributions().get(module, ()):
            return f"{name}=={version(name)}"
    return module


def _conda_yaml(requirements: Sequence[str]) -> str:
    pip = _pinned("pip").replace("==", "<=")  # conda's channels have a new pip some days later
    packages = [f"- python={platform.python_version()}", f"- {pip}", "- pip:"]
    return "\n".join(
        [
            "channels:",
            "- conda-forge",
            "dependencies:",
            *packages,
            *(f"  - {requirement}" for requirement in requirements),
            "name: mlflow-env",
            "",
        ]
    )


def _python_env_yaml() -> str:
    build = [f"- {_pinned(package)}" for package in ("pip", "setuptools", "wheel")]
    return "\n".join(
        [
            f"python: {platform.python_version()}",
            "build_dependencies:",
            *build,
            "dependencies:",
            "- -r requirements.txt",
            "",
        ]
    )


def _link(source: Path, target: Path) -> None:
    """One file under two names; a model may have hundreds of megabytes."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
