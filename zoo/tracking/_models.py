"""Trained models in MLflow: publishing the model of a trial.

`mlflow.keras.log_model` needs the model as a Keras object, and the supervisor does not import Keras, so
`build_model_folder` writes the same folder, with the file that the trial wrote:

    MLmodel                       flavors, signature, metadata
    data/model.keras              the file that the trial wrote
    data/keras_module.txt         "keras"
    requirements.txt, conda.yaml, python_env.yaml

The metadata have the model's `ModelInfo` under the key `zoo`. If the model has layers of a plugin, the
plugin's distribution is a requirement, and MLflow's pyfunc loads the model with `zoo.tracking.loader`, which
imports the plugin's modules.

The signature has no input schema. MLflow would compare the type of an array with the one type in the schema,
and refuse all others; a schema of integers refuses floats. Keras itself checks the shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.failpoints import failpoint
from zoo.files import link_or_copy, temporary_folder
from zoo.tracking import _names as names
from zoo.tracking._duplicates import create_once
from zoo.tracking._names import StudyFacts
from zoo.tracking._store import Store

if TYPE_CHECKING:
    from mlflow.entities import Metric

_MODEL_TAGS = (names.STUDY, names.TRIAL, names.UID, names.DIGEST)  # a model copies these tags from its run


def publish_model(
    store: Store,
    facts: StudyFacts,
    run: Any,
    file: Path,
    *,
    step: int,
    metrics: Sequence[Metric],
    tags: Mapping[str, str],
) -> None:
    """Make `file` the logged model of a run, with the run's parameters, `metrics` and additional `tags`.

    `step` is the epoch of the weights. If a killed process has created a model, the model is completed; a
    READY model is not uploaded again.
    """
    from mlflow.entities import LoggedModelOutput, Metric

    client, run_id = store.client, run.info.run_id
    model = _earlier_model(store, run) or create_once(
        lambda: client.create_logged_model(
            run.info.experiment_id,
            name=run.info.run_name,
            source_run_id=run_id,
            params=dict(run.data.params),
            tags={key: run.data.tags[key] for key in _MODEL_TAGS} | dict(tags),
        ),
        lambda: _earlier_model(store, run),
    )
    is_ready = str(model.status) == "READY"
    failpoint("mlflow.model")
    if not is_ready:
        origin = {"run_id": run_id, "artifact_path": model.artifact_location}
        origin |= {"model_id": model.model_id, "model_uuid": model.model_id}
        # The folder is next to the file, so that a link can replace a copy of the file.
        with temporary_folder(file.parent) as folder:
            backend = run.data.tags.get(names.BACKEND, "")
            build_model_folder(folder, file, facts, backend, origin=origin)
            client.log_model_artifacts(model.model_id, str(folder))
            failpoint("mlflow.model_uploaded")
    if model.model_id not in model_ids(run):
        client.log_outputs(run_id, models=[LoggedModelOutput(model.model_id, step=step)])
    linked = [
        Metric(metric.key, metric.value, metric.timestamp, metric.step, model_id=model.model_id)
        for metric in metrics
    ]
    store.log(run_id, linked)
    failpoint("mlflow.model_linked")
    if not is_ready:
        client.finalize_logged_model(model.model_id, "READY")


def _earlier_model(store: Store, run: Any) -> Any | None:
    """Return the run's model from an earlier attempt: a READY one if there is one, else a PENDING one."""
    origin = f"source_run_id = '{run.info.run_id}'"
    models = store.client.search_logged_models([run.info.experiment_id], filter_string=origin)
    by_status = {str(model.status): model for model in models}
    return by_status.get("READY") or by_status.get("PENDING")


def build_model_folder(
    folder: Path, file: Path, facts: StudyFacts, backend: str, *, origin: Mapping[str, str] | None = None
) -> None:
    """Write an MLflow model of flavor `keras` with `file` into the new folder `folder`.

    `backend` is the Keras backend, "" if unknown. `origin`: arguments of MLflow's `Model` that name the run.

    Raises:
        ModelError: `file` is not a model that Keras saved.
    """
    import numpy as np
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    from zoo.training.info import read_info  # imports NumPy

    info = read_info(file)
    keras_version = info.keras_version
    (folder / "data").mkdir(parents=True)
    link_or_copy(file, folder / "data" / "model.keras")
    (folder / "data" / "keras_module.txt").write_text("keras", encoding="utf-8")
    outputs = Schema([TensorSpec(np.dtype("float32"), (-1, len(facts.dataset.class_names)))])
    model = Model(
        signature=ModelSignature(outputs=outputs), metadata={"zoo": info.as_json()}, **(origin or {})
    )
    model.add_flavor(
        "keras", data="data", keras_version=keras_version, keras_backend=backend, save_exported_model=False
    )
    pyfunc.add_to_model(
        model,
        loader_module="zoo.tracking.loader" if info.modules else "mlflow.keras",
        conda_env="conda.yaml",
        python_env="python_env.yaml",
    )
    model.model_size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    model.save(str(folder / "MLmodel"))
    plugins = [*info.requirements, _requirement("keras-zoo")] if info.modules else []
    _write_environment(folder, _requirements(keras_version, backend, plugins))


def _requirements(keras_version: str, backend: str, plugins: Sequence[str]) -> list[str]:
    """Return the pip requirements of the model. MLflow needs 20 s to infer them, and leaves out Keras."""
    packages = [_requirement(name) for name in (backend, "numpy") if name]
    return [_requirement("mlflow"), f"keras=={keras_version}", *packages, *plugins]


def _requirement(module: str) -> str:
    """Return `module==version`, with the name of the installed distribution that provides the module."""
    try:
        return f"{module}=={version(module)}"
    except PackageNotFoundError:
        for name in packages_distributions().get(module, ()):
            return f"{name}=={version(name)}"
    return module


def _write_environment(folder: Path, requirements: list[str]) -> None:
    # MLflow has no public function for these files; a test compares them with those of `mlflow.keras`.
    from mlflow.utils.environment import _mlflow_conda_env, _PythonEnv

    (folder / "requirements.txt").write_text("\n".join(requirements), encoding="utf-8")
    _mlflow_conda_env(str(folder / "conda.yaml"), additional_pip_deps=requirements)
    _PythonEnv.current().to_yaml(folder / "python_env.yaml")


def model_ids(run: Any) -> list[str]:
    """Return the ids of a run's output models."""
    return [output.model_id for output in run.outputs.model_outputs] if run.outputs else []


def model_uri(run: Any | None) -> str:
    """Return the address of a run's model, `models:/m-…`; "" without a run or a model."""
    models = model_ids(run) if run is not None and names.MODEL not in run.data.tags else []
    return f"models:/{models[-1]}" if models else ""
