"""Properties of all built-in datasets, and scikit-learn's digits."""

import hashlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from shared_tools import run_python

from zoo import ZooError
from zoo.builtin import MODULES, datasets
from zoo.data.contract import check_contract
from zoo.data.prepare import prepare
from zoo.data.store import open_dataset
from zoo.registry import Registry
from zoo.space import REQUIRED
from zoo.study import parse_study

NAMES = [
    *("array_images", "cifar10", "cifar100", "csv_images", "digits", "fashion_mnist"),
    *("image_folder", "labelled_files", "mnist", "notmnist", "parquet_images"),
]


def test_plugins_are_light_to_import():
    code = f"import sys\nfor name in {MODULES!r}: __import__(name)\nprint(*sys.modules)"
    loaded = run_python("-c", code).stdout.split()
    heavy = {"numpy", "keras", "tensorflow", "sklearn", "mlxtend", "pandas", "pyarrow", "scipy", "PIL"}
    heavy |= {"urllib.request"}
    assert not heavy & set(loaded)
    assert set(MODULES) <= set(loaded)


@pytest.mark.parametrize("name", NAMES)
def test_dataset_is_registered_with_a_description(name):
    registry = Registry.load(entry_points=[])
    assert registry.names("dataset") == NAMES
    entry = registry.get("dataset", name)
    assert entry.function is getattr(datasets, name)
    assert 20 < len(entry.description) < 95
    # `zoo show` prints the docstring, so it has to explain every parameter.
    assert all(f"{parameter}" in entry.function.__doc__ for parameter in entry.space)


PAGE = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_page_lists_parameters_and_defaults(name):
    space = Registry.load(entry_points=[]).get("dataset", name).space
    assert f"[`{name}`](#" in PAGE.partition("\n## ")[0]
    section = PAGE.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    documented = {row[0].strip("`"): row[1:] for row in rows}
    assert list(documented) == list(space)
    for parameter, cells in documented.items():
        default = space[parameter].default
        if default is REQUIRED:
            assert "required" in cells
        elif default is not None:
            assert {str(default), str(default).lower()} & {cell.strip('`"') for cell in cells}


@pytest.mark.parametrize("block", re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
def test_study_examples_are_valid(block):
    study = parse_study(f'architecture = "conv_net"\n{block}', Registry.load(entry_points=[]), "shown")
    assert study.dataset.name in NAMES


def write_csv(folder):
    rows = [",".join(map(str, [row % 2, *range(row, row + 9)])) for row in range(10)]
    path = folder / "images.csv"
    path.write_text("\n".join(["label,1,2,3,4,5,6,7,8,9", *rows]) + "\n")
    return path, {"train": "images.csv"}


def write_mat(folder):
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 50)).astype(np.uint8)
    savemat(folder / "letters.mat", {"images": images, "labels": np.arange(50) % 10}, do_compression=True)
    return folder / "letters.mat", {"path": "letters.mat"}


def write_images(folder):
    for number in range(10):
        path = folder / "photos" / ("cat" if number % 2 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(path)
    return path, {"path": "photos"}


def write_npz(folder):
    pixels, labels = np.zeros((20, 28, 28), np.uint8), np.arange(20, dtype=np.uint8) % 10
    path = folder / "mnist.npz"
    np.savez(path, x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    return path, {}


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("csv_images", write_csv),
        ("notmnist", write_mat),
        ("image_folder", write_images),
        ("mnist", write_npz),
    ],
)
def test_damaged_file_leaves_nothing_in_the_cache(name, write, in_tmp, monkeypatch):
    monkeypatch.setenv("ZOO_DATA_DIR", str(in_tmp))
    path, parameters = write(in_tmp)
    entry = Registry.load(entry_points=[]).get("dataset", name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(0.6 * len(whole))])
    with pytest.raises(ZooError) as error:
        prepare(entry, parameters, {"fraction": 0.5, "seed": 0}, in_tmp / "cache")
    assert str(path.parent) in str(error.value) or path.name in str(error.value)
    assert "\n" not in str(error.value)
    assert not (in_tmp / "cache").exists()
    path.write_bytes(whole)
    prepared = prepare(entry, parameters, {"fraction": 0.5, "seed": 0}, in_tmp / "cache")
    assert len(open_dataset(in_tmp / "cache", prepared.digest).class_names) == len(prepared.class_names)
    assert prepare(entry, parameters, {"fraction": 0.5, "seed": 0}, in_tmp / "cache") == prepared


def test_digits_of_scikit_learn():
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
    # If a release cut it differently, studies of it could not be resumed.
    assert digest(dataset.train) == "a65ff2adc24e9c3cd242ab20823820559012c1f9706d7abcefeeaa8df7b50341"
    assert digest(dataset.test) == "7ba4990481630009d8ced028b7ac628bc1c96f29cae74317375b39e80861fca5"


def digest(split):
    return hashlib.sha256(np.ascontiguousarray(split.images).tobytes() + split.labels.tobytes()).hexdigest()
