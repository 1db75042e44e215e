"""What all built-in datasets have in common, and scikit-learn's digits."""

import hashlib
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from zoo.builtin import MODULES, datasets
from zoo.data.contract import check_contract
from zoo.registry import Registry
from zoo.space import REQUIRED
from zoo.study import parse_study

NAMES = ["cifar10", "cifar100", "csv_images", "digits", "fashion_mnist", "image_folder", "mnist", "notmnist"]


def test_plugins_are_light_to_import():
    code = f"import sys\nfor name in {MODULES!r}: __import__(name)\nprint(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"numpy", "keras", "tensorflow", "sklearn", "mlxtend", "pandas", "scipy", "PIL", "urllib.request"}
    assert not heavy & set(loaded)
    assert set(MODULES) <= set(loaded)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_registered_and_says_in_a_line_what_it_is(name):
    registry = Registry.load(entry_points=[])
    assert registry.names("dataset") == NAMES
    entry = registry.get("dataset", name)
    assert entry.function is getattr(datasets, name)
    assert 20 < len(entry.description) < 95
    # `zoo show` prints the docstring: there is nothing to set that it does not explain.
    assert all(f"{parameter}" in entry.function.__doc__ for parameter in entry.space)


PAGE = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_its_page_has_it_with_every_parameter_and_default(name):
    space = Registry.load(entry_points=[]).get("dataset", name).space
    assert f"[`{name}`](#" in PAGE.partition("\n## ")[0]
    section = PAGE.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    told = {row[0].strip("`"): row[1:] for row in rows}
    assert list(told) == list(space)
    for parameter, cells in told.items():
        default = space[parameter].default
        if default is REQUIRED:
            assert "has to be given" in cells
        elif default is not None:
            assert str(default) in [cell.strip('`"') for cell in cells]


@pytest.mark.parametrize("block", re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
def test_the_studies_on_its_page_are_in_order(block):
    study = parse_study(f'architecture = "conv_net"\n{block}', Registry.load(entry_points=[]), "shown")
    assert study.dataset.name in NAMES


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
    assert digest(dataset.train) == "a65ff2adc24e9c3cd242ab20823820559012c1f9706d7abcefeeaa8df7b50341"
    assert digest(dataset.test) == "7ba4990481630009d8ced028b7ac628bc1c96f29cae74317375b39e80861fca5"


def digest(split):
    return hashlib.sha256(np.ascontiguousarray(split.images).tobytes() + split.labels.tobytes()).hexdigest()
