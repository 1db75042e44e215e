"""`zoo tune FILE` with the user's own images: it writes a study, which runs as it stands."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits


@pytest.fixture(scope="module")
def drafted(new_zoo):
    """The digits of scikit-learn as a CSV file without a header, after `zoo tune` and `zoo check`."""
    zoo = new_zoo("drafted")
    digits = load_digits()
    rows = np.column_stack([digits.target, digits.images.reshape(-1, 64)]).astype(int)
    np.savetxt(zoo.folder / "digits.csv", rows, fmt="%d", delimiter=",")
    zoo.done = zoo("tune", "digits.csv", "--trials", 1, "--set", "training.epochs=2")
    return zoo


def test_search_of_a_table_says_what_it_saw_and_trains(drafted):
    assert drafted.done.returncode == 0, drafted.done.stderr
    assert drafted.done.stdout.startswith("best: trial 0, val_accuracy ")
    assert "dataset    csv_images: header = false, scale = 15.9375" in drafted.done.stderr
    assert "wrote digits.toml: " in drafted.done.stderr
    assert "study digits: 1 trial, maximize val_accuracy" in drafted.done.stderr


def test_written_study_is_checked_and_continued(drafted):
    assert drafted("check", "digits.toml").stdout.startswith("study digits.toml: ok")
    again = drafted("tune", "digits.csv", "--trials", 1, "--set", "training.epochs=2")
    assert again.stderr.startswith("using digits.toml, the study of digits.csv\n")
    assert "trial 0  complete" in drafted.done.stderr
    assert "trial 0  complete" not in again.stderr
    assert again.stdout == drafted.done.stdout
