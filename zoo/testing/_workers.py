"""Worker processes of the kit: they load saved models, run checks with another backend, or load a dataset."""

from __future__ import annotations

import hashlib
import importlib
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from zoo.data.store import digest_of
from zoo.process import WorkerProcess, enter_worker, exit_worker, spawn_worker, wait_for_any
from zoo.testing._searched import Array, SearchedSubject
from zoo.testing.kit import Skipped, Violation
from zoo.training.components import describe_error
from zoo.training.saved import cause_of, import_required_modules

_NO_LOG = Path(os.devnull)
_MAX_ERROR_TEXT = 600  # characters
_BACKENDS = ("tensorflow", "jax")  # the backends with which every plugin must work
_ON_CPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
TIMEOUT_S = 300.0


def receive_answer(worker: WorkerProcess, task: str, timeout: float = TIMEOUT_S, hint: str = "") -> Any:
    """Return the message that a worker process sends; raise Violation if the process dies or times out.

    Args:
        task: what the process does, for the message of the Violation.
        timeout: time limit in seconds.
        hint: text that the message ends with after a timeout.
    """
    if not wait_for_any([worker], timeout):
        worker.kill()
        worker.finish()
        raise Violation(f"{task}: expected an answer, but got none in {timeout:.0f} s{hint}")
    answer = worker.receive()
    exit_text = worker.finish()
    if answer is None:
        raise Violation(f"{task}: expected an answer, but the process died: {exit_text}")
    return answer


# --- saved models


def digest_of_weights(network: Any) -> str:
    """Return the SHA-256 of types, shapes and values of all weights."""
    digest = hashlib.sha256()
    for weight in network.get_weights():
        digest.update(f"{weight.dtype} {weight.shape}".encode() + weight.tobytes())
    return digest.hexdigest()


def load_models(connection: Any, folder: Path, absent: Sequence[str], modules: Sequence[str]) -> None:
    """Load each `.keras` file of `folder`, and send a result for each file name.

    A result is the digest of the weights and the outputs for the images in the `.npy` file. After an error,
    the result is the text of the error.

    Args:
        absent: packages whose import fails in this process, as if they were not installed.
        modules: modules to import first, because they define classes of the models.
    """
    enter_worker(_ON_CPU, _NO_LOG)
    import keras

    keras.saving.get_custom_objects().clear()
    answers: dict[str, Any] = {}
    for name in [name for name in sys.modules if name.partition(".")[0] in absent]:
        del sys.modules[name]
    # If the value in sys.modules is None, the import fails.
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    for path in sorted(folder.glob("*.keras")):
        try:
            for module in modules:
                importlib.import_module(module)
            if modules:
                import_required_modules(path, "under test")
            network = keras.saving.load_model(path, compile=False)
            images = np.load(path.with_suffix(".npy"))
            outputs = keras.ops.convert_to_numpy(network(images, training=False))
            answers[path.stem] = (digest_of_weights(network), outputs.astype("float32"))
        except Exception as error:
            answers[path.stem] = f"{type(error).__name__}: {cause_of(error)[:_MAX_ERROR_TEXT]}"
    connection.send(answers)
    exit_worker(connection)


# --- another backend


def run_checks(
    connection: Any,
    backend: str,
    subject_class: Any,
    origin: Any,
    options: Mapping[str, Any],
    names: Sequence[str],
    arrays: tuple[Array, list[Array]] | None,
) -> None:
    """Run checks with another backend; send the problem ("" if all pass) and the outputs for `arrays`."""
    enter_worker({**_ON_CPU, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}, _NO_LOG)
    problem, outputs = "", None
    try:
        subject = subject_class(origin.load(), options)
        not_passed = [result for result in subject.results(names) if result.state != "passed"]
        if not_passed:
            # "failed" sorts before "skipped": a failed check is the cause of skipped checks.
            first = min(not_passed, key=lambda result: result.state)
            problem = first.text.splitlines()[0]
        elif arrays is not None:
            outputs = subject.outputs_with(*arrays)
    except (Exception, SystemExit) as error:
        problem = f"the function raised {describe_error(error)}"
    connection.send((problem, outputs))
    exit_worker(connection)


def other_backends() -> list[str]:
    """Return the installed backends with which plugins must work, except the backend of this process."""
    import keras

    return [name for name in _BACKENDS if name != keras.backend.backend() and find_spec(name)]


def run_with_other_backends(
    subject: SearchedSubject,
    names: Sequence[str],
    options: Mapping[str, Any],
    arrays: tuple[Array, list[Array]] | None = None,
) -> Iterator[tuple[str, Any]]:
    """Run the checks `names` at the defaults with every other backend; yield each backend and its outputs.

    Raise Violation if a check does not pass, and Skipped if no other backend is installed.

    Args:
        options: options that replace those of the user.
        arrays: images and weights, for which `outputs_with` computes the outputs; None for no outputs.
    """
    import keras

    others = other_backends()
    if not others:
        raise Skipped(f"only {keras.backend.backend()} is installed")
    origin, point = subject.importable_origin(), subject.point()
    user_options = {
        name: value for name, value in subject.user_options.items() if name not in ("probe", "input_shape")
    }
    user_options |= {"points": [], "input_shapes": [point.shape], **options}
    for backend in others:
        worker = spawn_worker(run_checks, (backend, type(subject), origin, user_options, list(names), arrays))
        problem, outputs = receive_answer(worker, f"running checks with {backend}")
        subject.require(not problem, point, f"expected the checks to pass with {backend}, but: {problem}")
        yield backend, outputs


# --- datasets


def load_dataset(connection: Any, origin: Any, parameters: Mapping[str, Any]) -> None:
    """Load a dataset without a network, and send the results of a load without and a load with a network.

    Each result is `(True, digest)` or `(False, error)`. If the first load succeeds, its result is sent twice.
    """
    enter_worker({}, _NO_LOG)

    def load() -> tuple[bool, str]:
        try:
            return True, digest_of(origin.load()(**parameters))
        except (Exception, SystemExit) as error:
            return False, describe_error(error)

    with _no_network():
        offline = load()
    is_loaded, _ = offline
    connection.send((offline, offline if is_loaded else load()))
    exit_worker(connection)


@contextmanager
def _no_network() -> Iterator[None]:
    """Refuse name look-ups and connections of Python code, except connections to UNIX sockets."""

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
