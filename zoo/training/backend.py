"""What differs between Keras's backends: the one module that names TensorFlow.

`KERAS_BACKEND` chooses; TensorFlow is the default and the one that is installed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError, did_you_mean

if TYPE_CHECKING:
    from zoo.training.batches import Batches

_BACKENDS = ("tensorflow", "jax", "torch")


def check_backend() -> None:
    """Whether the backend that `KERAS_BACKEND` names can be had, seen without importing it.

    Raises:
        ZooError: Keras has none of that name, or it is not installed.
    """
    name = os.environ.get("KERAS_BACKEND")
    if not name:
        return
    if name not in _BACKENDS:
        raise ZooError(f"KERAS_BACKEND={name}: there is no such backend. {did_you_mean(name, _BACKENDS)}")
    if importlib.util.find_spec(name) is None:
        raise ZooError(f"KERAS_BACKEND={name}, but {name} is not installed: pip install {name}")


def quiet() -> None:
    """Keep the backend's start-up chatter out of the terminal. Before it is imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """Nothing on stderr: backends greet there from native code, past every logging level."""
    quiet()
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def child_environment(*, jobs: int, slot: int, gpus: list[str]) -> Mapping[str, str]:
    """Environment of a trial's process: a fair share of the cores, a GPU of its own in turn.

    Read by the backend when it first touches a device, which is after the fork.
    """
    environment = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    if jobs > 1:
        threads = str(max(1, available_cores() // jobs))
        environment |= {
            "TF_NUM_INTRAOP_THREADS": threads,
            "TF_NUM_INTEROP_THREADS": threads,
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        }
        if len(gpus) > 1:
            environment["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
    return environment


def available_cores() -> int:
    """Cores this process may use, which in a container can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """NVIDIA GPUs a trial may be given, by index, found without touching any of them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [gpu.strip() for gpu in chosen.split(",") if gpu.strip() not in ("", "-1")]
    return [str(index) for index, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]


def device_name() -> str:
    """The device that trains, as the record shows it: `cpu`, `gpu: NVIDIA H200`."""
    import keras

    backend = keras.backend.backend()
    name = ""
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else ""
    elif backend == "jax":
        import jax

        device = jax.devices()[0]
        name = "" if device.platform == "cpu" else device.device_kind
    elif backend == "torch":
        import torch

        name = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
    return f"gpu: {name}" if name else "cpu"


def feed(batches: Batches) -> Any:
    """What `fit` takes in place of `batches`, read ahead of the step that needs it."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    images, labels = batches[0]
    dataset = tf.data.Dataset.from_generator(
        lambda: map(batches.__getitem__, range(len(batches))),
        output_signature=(
            tf.TensorSpec((None, *images.shape[1:]), images.dtype),
            tf.TensorSpec((None,), labels.dtype),
        ),
    )
    # Autotuning has nothing to tune here, and its thread, which sleeps for up to seconds, is waited for
    # when the training ends.
    options = tf.data.Options()
    options.autotune.enabled = False
    return (
        dataset.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(2).with_options(options)
    )
