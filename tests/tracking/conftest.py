"""MLflow stores: new SQLite files and one real server; and the file of a model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import shared_tools
import tracking_examples as examples
from warm_command import WarmClient

from zoo.tracking import Store, connect, free_port, ui_command, ui_environment

# The model has random weights, since only its file is needed. MLflow's own `save_model` writes the folder
# `official`, to compare zoo's folder with it.
_SAVE = """
import sys
import keras, mlflow.keras, numpy
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

folder = sys.argv[1]
keras.utils.set_random_seed(0)
pixels = keras.Input((8, 8, 1))
hidden = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
model = keras.Model(pixels, keras.layers.Dense(10, activation="softmax")(hidden))
model.save(folder + "/model.keras")
images = numpy.random.default_rng(0).integers(0, 256, (3, 8, 8, 1)).astype("uint8")
numpy.savez(folder + "/expected.npz", images=images, probabilities=keras.ops.convert_to_numpy(model(images)))
signature = ModelSignature(
    inputs=Schema([TensorSpec(numpy.dtype("uint8"), (-1, 8, 8, 1))]),
    outputs=Schema([TensorSpec(numpy.dtype("float32"), (-1, 10))]),
)
requirements = ["keras==" + keras.__version__, sys.argv[2], "numpy==" + numpy.__version__]
mlflow.keras.save_model(model, folder + "/official", signature=signature, pip_requirements=requirements)
"""


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run the test in an empty folder, without $MLFLOW_TRACKING_URI."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new SQLite store. MLflow takes seconds to create its tables, so tests use copies."""
    folder = tmp_path_factory.mktemp("template")
    before = Path.cwd()
    os.chdir(folder)
    try:
        connect(f"sqlite:///{folder}/mlflow.db")
    finally:
        os.chdir(before)
    return folder / "mlflow.db"


@pytest.fixture
def folder(tmp_path: Path, model_file: Path) -> Path:
    """The directory of a complete trial, with its model."""
    return examples.make_folder(tmp_path / "trials" / "007", model_file)


@pytest.fixture
def local_store(working_folder: Path, empty_database: Path) -> Store:
    shutil.copyfile(empty_database, working_folder / "mlflow.db")
    return connect()


@pytest.fixture(scope="session")
def server_address(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[str]:
    """A tracking server on this machine, started with the command that `zoo ui` runs."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copyfile(empty_database, folder / "mlflow.db")
    port = free_port(wanted=0)
    environment = ui_environment(f"sqlite:///{folder}/mlflow.db")
    environment.pop("MLFLOW_LOGGING_LEVEL", None)
    process = subprocess.Popen(
        [
            *ui_command(f"sqlite:///{folder}/mlflow.db", port=port),
            "--artifacts-destination",
            str(folder / "files"),
        ],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    output = []
    for line in process.stdout:
        output.append(line)
        if "Uvicorn running on" in line:  # it listens from here on; one line earlier it does not
            break
    else:
        pytest.fail("mlflow did not start:\n" + "".join(output))
    threading.Thread(target=process.stdout.read, daemon=True).start()
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=240)


@pytest.fixture(params=["sqlite", "server"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A SQLite store, then a server. Tests share the server, so each uses another study name."""
    if request.param == "sqlite":
        yield request.getfixturevalue("local_store")
        return
    found = connect(request.getfixturevalue("server_address"))
    yield found
    assert examples.facts().name not in found.studies(), "a test on the server needs a study name of its own"


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory: pytest.TempPathFactory, warm_command: WarmClient) -> Path:
    """A folder with `model.keras`, `expected.npz` (images, probabilities), and `official` from MLflow."""
    from importlib.metadata import version

    folder = tmp_path_factory.mktemp("model")
    backend = f"tensorflow=={version('tensorflow')}"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    if "KERAS_BACKEND" in environment:
        environment["KERAS_BACKEND"] = "tensorflow"
    command = [sys.executable, "-c", _SAVE, folder, backend]
    done = warm_command.run(command, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def model_file(saved_model: Path) -> Path:
    return saved_model / "model.keras"


@pytest.fixture
def run_python(working_folder: Path) -> Callable[..., str]:
    """A function that runs a script in a new process and returns its output, stderr included."""

    def run(script: str, *arguments: str, **environment: str) -> str:
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", **environment}
        done = shared_tools.run_python("-c", script, *arguments, cwd=working_folder, env=environment)
        return done.stdout + (done.stderr if not environment.get("NOISY") else "")

    return run
