"""`zoo init`: what was seen and the next command, or one line for a mistake; `zoo tune PATH`."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from zoo.cli import init_command, tune_command
from zoo.errors import ZooError


@pytest.fixture
def photos(in_tmp, monkeypatch):
    """Twelve photographs of each of two classes, and one of them of both."""
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)
    monkeypatch.setattr("zoo.training.backend.available_cores", lambda: 2)
    monkeypatch.setattr("zoo.training.backend.visible_gpus", lambda: [])
    for label, name in enumerate(("cat", "dog")):
        (in_tmp / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.random.default_rng(label * number).integers(0, 256, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(in_tmp / "photos" / name / f"{number}.png")
    return in_tmp


def run(command, line):
    return CliRunner().invoke(command, line.split(), catch_exceptions=False)


def test_init_prints_what_it_saw_and_the_next_command(photos):
    done = run(init_command.command, "photos/")
    assert done.exit_code == 0
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert lines[0] == ["dataset", 'image_folder: color_mode = "rgb"']
    assert ["classes", "2: cat, dog"] in lines
    assert lines[-1] == ["wrote", "photos.toml: 20 trials of up to 40 epochs, about 8 minutes by estimate"]
    assert "warning: 1 image has the same pixels as an image with another label" in done.stderr
    assert "next: zoo tune photos.toml " in done.stderr
    again = run(init_command.command, "photos --quiet --force --output other.toml")
    assert again.stderr.startswith("warning: ")
    assert len(again.stderr.splitlines()) == 1
    with pytest.raises(ZooError, match=r"^photos\.toml exists; add --force to replace it"):
        run(init_command.command, "photos")


def test_tune_writes_the_study_of_images_once(photos, monkeypatch):
    tuned = []

    def tune(**options):
        tuned.append(options)
        return SimpleNamespace(interrupted=1, done=0, total=20)

    monkeypatch.setattr("zoo.results.tune", tune)
    monkeypatch.setattr("zoo.cli.common.start_loading_keras", lambda: None)
    first = run(tune_command.command, "photos/ --set dataset.image_size=6 --set training.epochs=1")
    assert tuned[-1]["study"] == "photos.toml"
    assert "wrote photos.toml: " in first.stderr
    assert "image_size = 6" in (photos / "photos.toml").read_text()
    second = run(tune_command.command, "photos")
    assert tuned[-1]["study"] == "photos.toml"
    assert second.stderr.startswith("using photos.toml, the study of photos\n")
    run(tune_command.command, "photos.toml")
    assert tuned[-1]["study"] == "photos.toml"


def test_study_wins_over_a_folder_of_its_name(photos, monkeypatch):
    tuned = []
    monkeypatch.setattr("zoo.results.tune", lambda **options: tuned.append(options) or SimpleNamespace(
        interrupted=1, done=0, total=20))  # fmt: skip
    monkeypatch.setattr("zoo.cli.common.start_loading_keras", lambda: None)
    (photos / "photos").rename(photos / "digits_cnn")
    run(tune_command.command, "digits_cnn")
    assert tuned[-1]["study"] == "digits_cnn"
    assert list(photos.glob("*.toml")) == []
