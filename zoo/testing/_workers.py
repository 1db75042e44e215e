"""Processes that the kit starts: they load saved models, run checks under another backend, load a dataset."""

from __future__ import annotations

import hashlib
import importlib
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from zoo.data.store import digest_of
from zoo.process import WorkerProcess, enter_worker, exit_worker, wait_for_any
from zoo.testing._failures import Violation, error_text, shortened
from zoo.training.saved import cause_of

_NO_LOG = Path(os.devnull)
_ON_CPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
TIMEOUT_S = 300.0


def receive_answer(worker: WorkerProcess, task: str, timeout: float = TIMEOUT_S, hint: str = "") -> Any:
    """Return the one message of a worker process.

    Args:
        task: what the process does, for the error.
        timeout: in seconds.
        hint: what may help after a timeout.

    Raises:
        Violation: the process died or hung before it sent its message.
    """
    if not wait_for_any([worker], timeout):
        worker.kill()
        worker.finish()
        raise Violation(f"{task}: expected an answer, but there was none after {timeout:.0f} s{hint}")
    answer = worker.receive()
    exit_text = worker.finish()
    if answer is None:
        raise Violation(f"{task}: expected an answer, but the process died: {exit_text}")
    return answer


# --- saved models


def digest_of_weights(network: Any) -> str:
    digest = hashlib.sha256()
    for weight in network.get_weights():
        digest.update(f"{weight.dtype} {weight.shape}".encode() + weight.tobytes())
    return digest.hexdigest()


def load_models(connection: Any, folder: Path, absent: Sequence[str], modules: Sequence[str]) -> None:
    """Load each `.keras` file of `folder`; send name -> digest of its weights and outputs, or an error text.

    Args:
        absent: packages that cannot be imported here, as if they were not installed.
        modules: modules to import first, because they define classes of the models.
    """
    enter_worker(_ON_CPU, _NO_LOG)
    import keras

    keras.saving.get_custom_objects().clear()
    answers: dict[str, Any] = {}
    _make_unimportable(absent)
    for path in sorted(folder.glob("*.keras")):
        try:
            for module in modules:
                importlib.import_module(module)
            network = keras.saving.load_model(path, compile=False)
            images = np.load(path.with_suffix(".npy"))
            outputs = keras.ops.convert_to_numpy(network(images, training=False))
            answers[path.stem] = (digest_of_weights(network), outputs.astype("float32"))
        except Exception as error:
            answers[path.stem] = f"{type(error).__name__}: {shortened(cause_of(error))}"
    connection.send(answers)
    exit_worker(connection)


def _make_unimportable(packages: Sequence[str]) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]
    sys.modules.update(dict.fromkeys(packages))  # type: ignore[arg-type]  # None: the import fails


# --- another backend


def run_checks(
    connection: Any,
    backend: str,
    subject_class: Any,
    origin: Any,
    options: Mapping[str, Any],
    names: Sequence[str],
    weights: Path | None,
) -> None:
    """Run checks under another backend; send `(check, state, text)` of each, and outputs or an error text.

    Args:
        weights: file of images and weights for `Network.outputs_with`; None if no outputs are wanted.
    """
    enter_worker({**_ON_CPU, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}, _NO_LOG)
    results, outputs = [], None
    try:
        subject = subject_class(origin.load(), options)
        results = [(result.check, result.state, result.text) for result in subject.results(names)]
        if weights is not None and all(state == "passed" for _, state, _ in results):
            outputs = subject.outputs_with(weights)
    except (Exception, SystemExit) as error:
        outputs = error_text(error)
    connection.send((results, outputs))
    exit_worker(connection)


# --- datasets


def load_dataset(connection: Any, origin: Any, parameters: Mapping[str, Any]) -> None:
    """Load a dataset without a network, and once more with one if that fails; send two digests or errors."""
    enter_worker({}, _NO_LOG)

    def load() -> tuple[bool, str]:
        try:
            return True, digest_of(origin.load()(**parameters))
        except (Exception, SystemExit) as error:
            return False, error_text(error)

    with _no_network():
        offline = load()
    connection.send((offline, offline if offline[0] else load()))
    exit_worker(connection)


@contextmanager
def _no_network() -> Iterator[None]:
    """Refuse name look-ups and connections that Python code makes, except to UNIX sockets."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError("no network: the conformance kit blocks it after the first load")

    def local_only(connect: Any) -> Any:
        def call(self: socket.socket, address: Any) -> Any:
            return connect(self, address) if self.family == socket.AF_UNIX else refuse()

        return call

    with (
        patch("socket.getaddrinfo", refuse),
        patch("socket.socket.connect", local_only(socket.socket.connect)),
        patch("socket.socket.connect_ex", local_only(socket.socket.connect_ex)),
    ):
        yield
