"""What runs in processes of its own: saved models loaded again, another backend, a dataset once more."""

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

from zoo.process import WorkerProcess, enter_worker, exit_worker, wait_for_any
from zoo.testing._failure import Broken, shortened, told

_NOWHERE = Path(os.devnull)
_ON_CPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
PATIENCE = 300.0  # seconds


def answer_of(child: WorkerProcess, what: str, patience: float = PATIENCE, cure: str = "") -> Any:
    """The one message of a child; Broken where it dies or hangs before it has one.

    Args:
        patience: seconds.
        cure: what might help if they were too few.
    """
    if not wait_for_any([child], patience):
        child.kill()
        child.join()
        raise Broken(f"{what}: expected an answer, but after {patience:.0f} s there was none{cure}")
    answer = child.receive()
    how = child.finish()
    if answer is None:
        raise Broken(f"{what}: expected an answer, but the process died: {how}")
    return answer


# --- saved models


def digest_of_weights(network: Any) -> str:
    digest = hashlib.sha256()
    for weight in network.get_weights():
        digest.update(f"{weight.dtype} {weight.shape}".encode() + weight.tobytes())
    return digest.hexdigest()


def load_models(connection: Any, folder: Path, absent: Sequence[str], modules: Sequence[str]) -> None:
    """Load each `.keras` file of `folder`; send by name its weights' digest and its outputs, or an error.

    Args:
        absent: packages that cannot be imported while it happens, as if they were not installed.
        modules: imported before, since the models' own classes are in them.
    """
    enter_worker(_ON_CPU, _NOWHERE)
    import keras
    import numpy as np

    from zoo.training.saved import cause_of

    keras.saving.get_custom_objects().clear()
    answers: dict[str, Any] = {}
    _uninstall(absent)
    for path in sorted(folder.glob("*.keras")):
        try:
            for module in modules:
                importlib.import_module(module)
            network = keras.saving.load_model(path, compile=False)
            images = np.load(path.with_suffix(".npy"))
            outputs = keras.ops.convert_to_numpy(network(images, training=False))
            answers[path.stem] = (digest_of_weights(network), outputs.astype("float32"))
        except Exception as error:
            answers[path.stem] = f"it raised {type(error).__name__}: {shortened(cause_of(error))}"
    connection.send(answers)
    exit_worker(connection)


class _Absent:
    """A finder that knows some packages not to be there."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = packages

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] in self.packages:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


def _uninstall(packages: Sequence[str]) -> None:
    """From here on they cannot be imported in this process."""
    for name in list(sys.modules):
        if name.partition(".")[0] in packages:
            del sys.modules[name]
    sys.meta_path.insert(0, _Absent(packages))


# --- another backend


def under_backend(
    connection: Any,
    backend: str,
    origin: Any,
    kind: str,
    options: Mapping[str, Any],
    names: Sequence[str],
    weights: Path | None,
) -> None:
    """Make some checks under another backend; send `(check, state, text)` of each, and outputs or an error.

    Args:
        weights: file of the weights and images with which an architecture's outputs are wanted.
    """
    enter_worker({**_ON_CPU, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}, _NOWHERE)
    from zoo.testing._subjects import subject_of

    results, outputs = [], None
    try:
        subject: Any = subject_of(kind, origin.load(), options)
        results = [(result.check, result.state, result.text) for result in subject.results(names)]
        if weights is not None and all(state == "passed" for _, state, _ in results):
            outputs = subject.outputs_with(weights)
    except (Exception, SystemExit) as error:
        outputs = told(error)
    connection.send((results, outputs))
    exit_worker(connection)


# --- datasets


def load_dataset(connection: Any, origin: Any, parameters: Mapping[str, Any]) -> None:
    """Load a dataset without a network; where that fails, once more with one. Sends two digests or errors."""
    enter_worker({}, _NOWHERE)
    from zoo.data.store import digest_of

    def digest() -> tuple[bool, str]:
        try:
            return True, digest_of(origin.load()(**parameters))
        except (Exception, SystemExit) as error:
            return False, told(error)

    with _no_network():
        offline = digest()
    connection.send((offline, offline if offline[0] else digest()))
    exit_worker(connection)


@contextmanager
def _no_network() -> Iterator[None]:
    """Nothing in Python that asks for another machine's address, or connects to it, gets an answer."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def refused(*_: Any, **__: Any) -> Any:
        raise OSError("no network: the kit cut it off, since this is not the first load")

    def local_only(original: Any) -> Any:
        def call(self: socket.socket, address: Any) -> Any:
            return original(self, address) if self.family == socket.AF_UNIX else refused()

        return call

    socket.getaddrinfo = refused
    socket.socket.connect = local_only(connect)  # type: ignore[method-assign]
    socket.socket.connect_ex = local_only(connect_ex)  # type: ignore[method-assign]
    try:
        yield
    finally:
        socket.getaddrinfo = getaddrinfo
        socket.socket.connect = connect  # type: ignore[method-assign]
        socket.socket.connect_ex = connect_ex  # type: ignore[method-assign]
