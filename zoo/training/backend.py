"""Everything that depends on the Keras backend. No other module of zoo names TensorFlow.

TensorFlow is the default, and a dependency of zoo; JAX and PyTorch are not.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError, did_you_mean
from zoo.machine import available_cores as available_cores

if TYPE_CHECKING:
    import keras
    import numpy as np

_BACKENDS = ("tensorflow", "jax", "torch")
_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
_GPU_FILES = (("/proc/driver/nvidia/gpus", "*"), ("/dev", "nvidia[0-9]*"))
# Keras imports these if they are installed: for galleries of images, data frames, wrappers and notebooks.
_OPTIONAL_PACKAGES = ("IPython", "matplotlib", "pandas", "sklearn")


def check_backend() -> None:
    """Raise ZooError if the backend that `KERAS_BACKEND` names does not exist or is not installed."""
    name = os.environ.get("KERAS_BACKEND")
    if not name:
        return
    if name not in _BACKENDS:
        raise ZooError(f"KERAS_BACKEND={name}: unknown backend. {did_you_mean(name, _BACKENDS)}")
    if importlib.util.find_spec(name) is None:
        raise ZooError(f"KERAS_BACKEND={name}, but {name} is not installed: pip install {name}")


def backend_name() -> str:
    """Return the name of the backend that Keras would use, without importing Keras."""
    if name := os.environ.get("KERAS_BACKEND"):
        return name
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        return str(json.loads((home / "keras.json").read_text(encoding="utf-8"))["backend"])
    return _BACKENDS[0]


def check_gpus() -> None:
    """Raise ZooError if `CUDA_VISIBLE_DEVICES` names a GPU by an index that this machine does not have."""
    value = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if sys.platform != "linux" or Path("/dev/dxg").exists():  # in WSL, these files do not show the GPUs
        return
    count = max(len(list(Path(place).glob(pattern))) for place, pattern in _GPU_FILES)
    indices = [int(name) for name in value.split(",") if name.strip().isdecimal()]
    if any(index >= count for index in indices):
        has = f"GPUs 0 to {count - 1}" if count > 1 else "only GPU 0" if count else "no NVIDIA GPU"
        raise ZooError(
            f"this machine has {has}, but CUDA_VISIBLE_DEVICES={value}. Name another GPU, or use -1 for none."
        )


def disable_import_logs() -> None:
    """Turn off the log messages that a backend writes when it is imported. Call this before the import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def import_keras() -> None:
    """Import Keras without the output of its backend, which native code writes to stderr."""
    check_backend()
    if "keras" not in sys.modules:
        with discard_stderr():
            importlib.import_module("keras")


@contextlib.contextmanager
def without_optional_packages() -> Iterator[None]:
    """Import Keras in the block as if packages that no trial needs were not installed.

    These packages take a third of the time and a fifth of the memory of the import. After the block, they can
    be imported.
    """
    absent = [name for name in _OPTIONAL_PACKAGES if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None makes `import` raise ImportError
    try:
        yield
    finally:
        for name in absent:
            if sys.modules.get(name, name) is None:
                del sys.modules[name]


@contextlib.contextmanager
def discard_stderr() -> Iterator[None]:
    """Discard output on stderr: native code of backends writes there, at any logging level."""
    disable_import_logs()
    sys.stderr.flush()
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)


def worker_environment(
    *, jobs: int, slot: int, gpus: list[str], threads: int | None = None
) -> Mapping[str, str]:
    """Return the environment variables of the worker process in `slot`, a number from 0 to `jobs - 1`.

    Parallel trials share the CPU cores equally unless `threads` is given, and each trial uses one GPU. The
    backend reads the variables when it first uses a device, which is after the fork. The variables name the
    GPUs that this process may use now, not those at the start of the fork server.
    """
    environment = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    if jobs > 1:
        threads = threads or max(1, available_cores() // jobs)
        environment["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        # A number of threads that the user has set has priority.
        environment |= {name: os.environ.get(name, str(threads)) for name in _THREADS}
        if len(gpus) > 1:
            environment["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
    return environment


def without_gpus(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return `environment` for a worker process that must not take memory of a GPU."""
    return {**environment, "CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}


def visible_gpus() -> list[str]:
    """Return the NVIDIA GPUs that trials may use, by index, without initializing any of them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu.strip() for gpu in visible.split(",") if gpu.strip() not in ("", "-1")]
    return [str(index) for index, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]


def device_name() -> str:
    """Return the device that Keras trains on: `cpu`, `gpu: NVIDIA H200`."""
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


def facts() -> tuple[str, str, str]:
    """Return name and version of the backend, and the device that Keras trains on."""
    import keras

    name = keras.backend.backend()
    return name, metadata.version(name), device_name()


def as_training_data(batches: keras.utils.PyDataset) -> Any:
    """Return `batches` for `keras.Model.fit`. With TensorFlow, the next batches are read during a step."""
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
    # Autotuning cannot improve this pipeline. The end of the training would wait for the autotuning thread,
    # which may sleep for seconds.
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))
    return dataset.prefetch(2).with_options(options)


def forward_pass(model: keras.Model) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    """Return a compiled function from raw images to the outputs of `model`, without training.

    The function uses the weights that the model has at the time of the call. With TensorFlow, it compiles
    faster than `keras.Model.predict`.
    """
    import keras
    import numpy as np

    if keras.backend.backend() != "tensorflow":
        return lambda images: np.asarray(model.predict_on_batch(images))
    import tensorflow as tf

    images = tf.TensorSpec(model.input_shape, tf.uint8)
    compiled = tf.function(lambda images: model(images, training=False), (images,), autograph=False)
    return lambda images: compiled(images).numpy()


def litert_options(calibration: np.ndarray[Any, Any] | None) -> dict[str, Any]:
    """Return the options of `keras.Model.export(format="litert")`, which works only with TensorFlow.

    Args:
        calibration: images `(n, height, width, channels)`; weights and activations become int8 values in the
            ranges that occur for these images. With None, the model stays in float32.
    """
    import tensorflow as tf

    # With only LiteRT's own operations, a model runs in every LiteRT runtime.
    options: dict[str, Any] = {"target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}}
    if calibration is not None:
        options["optimizations"] = [tf.lite.Optimize.DEFAULT]
        options["representative_dataset"] = lambda: ([image[None].astype("float32")] for image in calibration)
    return options


def random_states() -> dict[str, list[np.ndarray[Any, Any]]]:
    """Return the states of the global generators of random numbers: of Python, NumPy, Keras and PyTorch.

    TensorFlow gives no access to the states of operations such as `tf.random.normal`.
    """
    import random

    import keras
    import numpy as np

    version, words, gauss = random.getstate()
    name, keys, *numbers = np.random.get_state()
    assert name == "MT19937", name
    generator = _keras_generator()
    states = {
        "python": [np.array([version, *words], np.int64), np.array([gauss], np.float64)],
        "numpy": [np.asarray(keys), np.array(numbers, np.float64)],
        "keras": [] if generator is None else [np.array(generator.state.numpy())],
    }
    if keras.backend.backend() == "torch":
        import torch

        states["torch"] = [one.cpu().numpy().copy() for one in (torch.get_rng_state(), *_cuda_states())]
    return states


def set_random_states(states: Mapping[str, Any]) -> None:
    """Restore the states that `random_states` returned."""
    import random

    import keras
    import numpy as np

    for state in states["keras"]:
        if _keras_generator() is None:
            keras.random.uniform(())  # creates the generator, seeded by Python's generator
        _keras_generator().state.assign(state)
    (version, *words), (gauss,) = (one.tolist() for one in states["python"])
    random.setstate((version, tuple(words), None if np.isnan(gauss) else gauss))
    keys, (position, has_gauss, cached) = states["numpy"]
    np.random.set_state(("MT19937", keys, int(position), int(has_gauss), float(cached)))
    if "torch" in states:
        import torch

        cpu, *devices = (torch.from_numpy(one.copy()) for one in states["torch"])
        torch.set_rng_state(cpu)
        if devices:
            torch.cuda.set_rng_state_all(devices)


def _cuda_states() -> list[Any]:
    import torch

    return list(torch.cuda.get_rng_state_all()) if torch.cuda.is_available() else []


def _keras_generator() -> Any:
    """Return Keras's generator for layers without a seed; None if no layer has needed it yet.

    The generator has no public name; tests/training/test_checkpoints.py fails if the private one disappears.
    """
    from keras.src.backend.common.global_state import get_global_attribute

    return get_global_attribute("global_seed_generator")
