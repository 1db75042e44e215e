"""A model that is served: in this process without a network, and by the installed command."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
import shared_tools
from PIL import Image

TRIAL = "mlruns/zoo/example/trials/001"


@pytest.fixture(scope="session")
def pixels(recorded_study):
    """Five images of the test split, `uint8`, `(5, 8, 8, 1)`."""
    from zoo.data.store import open_dataset
    from zoo.record import run_in

    run = run_in(recorded_study / TRIAL)
    return np.asarray(open_dataset(run.cache_dir, run.config.digest).test.images[:5])


@pytest.fixture(scope="session")
def files(pixels, tmp_path_factory):
    """The same images as PNG files."""
    folder = tmp_path_factory.mktemp("images")
    for number, image in enumerate(pixels):
        Image.fromarray(image[..., 0]).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="session")
def classifier(recorded_study):
    import zoo

    return zoo.Classifier(recorded_study / TRIAL)


@pytest.fixture(scope="session")
def labels(classifier, pixels):
    """The classes that the model gives the images."""
    return list(classifier.predict(pixels)["class"])


@pytest.fixture
def make_application(monkeypatch):
    """make_application(classifier, host="127.0.0.1") -> the ASGI application; requests up to 1 MB."""
    from zoo.serving import application

    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")  # MLflow sets it; it is removed again

    def make(classifier, host="127.0.0.1"):
        return application(classifier, host=host, address="http://127.0.0.1:8000", max_request_mb=1)

    return make


@pytest.fixture(scope="module")
def start_server(script, recorded_study, tmp_path_factory):
    """start_server() runs the installed `zoo serve` on a free port, with requests up to 1 MB.

    The result has the `address`, the first `lines` on stderr, and the `process`.
    """
    environment = shared_tools.clean_environment(tmp_path_factory.mktemp("serve") / "home")
    command = [script, "serve", TRIAL, "--port", "0", "--max-request-mb", "1"]
    processes = []

    def start():
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, cwd=recorded_study, env=environment, **pipes)
        processes.append(process)
        address = process.stdout.readline().strip()
        assert address, process.stderr.read()
        lines = [process.stderr.readline().strip() for _ in range(3)]
        return SimpleNamespace(address=address, lines=lines, process=process)

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def server(start_server):
    """A server for all tests of a module."""
    return start_server()
