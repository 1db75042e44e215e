"""Studies by name or path."""

from __future__ import annotations

import os

import pytest

from zoo.checksums import write_text
from zoo.errors import StudyError
from zoo.study import find_study, known_studies, load_study

MINE = 'dataset = "digits"\narchitecture = "conv_net"\n'


@pytest.fixture
def folder(in_tmp):
    """A working folder with two studies; one hides a shipped study."""
    (in_tmp / "studies").mkdir()
    (in_tmp / "studies" / "mine.toml").write_text(MINE, encoding="utf-8")
    (in_tmp / "studies" / "digits_cnn.toml").write_text(f"{MINE}[training]\nepochs = 2\n", encoding="utf-8")
    return in_tmp


def test_shipped_studies_are_found_in_every_folder(in_tmp, registry):
    assert {"digits_cnn", "mnist_cnn"} <= known_studies().keys()
    for name in known_studies():
        assert load_study(name, registry).name == name


def test_own_studies_hide_shipped_ones(folder, registry, monkeypatch):
    assert {"digits_cnn", "mine", "mnist_cnn"} <= known_studies().keys()
    assert load_study("mine", registry).name == "mine"
    assert load_study("digits_cnn", registry).training["epochs"].default == 2
    monkeypatch.chdir("/")
    assert load_study("digits_cnn", registry).training["epochs"].default != 2


def test_study_is_found_by_path(folder, registry, monkeypatch):
    assert load_study("studies/mine.toml", registry).name == "mine"
    assert load_study(str(folder / "studies" / "mine.toml"), registry).name == "mine"
    monkeypatch.chdir(folder / "studies")
    assert load_study("mine.toml", registry).name == "mine"
    assert find_study("./mine.toml").samefile(folder / "studies" / "mine.toml")


def test_load_study_takes_name_and_overrides(folder, registry):
    study = load_study("mine", registry, name="other", overrides=["training.epochs=3"])
    assert (study.name, study.training["epochs"].default) == ("other", 3)


def test_unknown_study_has_a_suggestion(folder):
    with pytest.raises(
        StudyError,
        match=r"^there is no study named 'mines' in .* shipped studies\. Did you mean 'mine'\?$",
    ):
        find_study("mines")
    with pytest.raises(
        StudyError, match=r"^there is no study file studies/mien.toml\. Did you mean 'mine.toml'\?$"
    ):
        find_study("studies/mien.toml")
    with pytest.raises(StudyError, match=r"there is no study file no/where.toml\. Give a path, or a name"):
        find_study("no/where.toml")
    with pytest.raises(StudyError, match="there is no study file studies/"):
        find_study("studies/")


def test_error_names_the_file_relative_to_the_folder(folder, registry):
    (folder / "studies" / "mine.toml").write_text(f"{MINE}[training]\nepoch = 3\n", encoding="utf-8")
    for study in ("mine", "studies/mine.toml", str(folder / "studies" / "mine.toml")):
        with pytest.raises(StudyError, match=r"^studies/mine\.toml:4: \[training\] epoch: "):
            load_study(study, registry)


def test_unreadable_file_is_reported(folder, registry):
    mine = folder / "studies" / "mine.toml"
    mine.write_bytes(b'dataset = "\xff"')
    with pytest.raises(StudyError, match=r"mine\.toml cannot be read: 'utf-8' codec can't decode"):
        load_study("mine", registry)
    mine.unlink()
    mine.symlink_to(folder / "gone.toml")
    with pytest.raises(StudyError, match=r"mine\.toml cannot be read: .*No such file"):
        load_study("mine", registry)


def test_too_long_name_is_reported(folder):
    name = f"{'a' * 300}.toml"
    with pytest.raises(StudyError, match=f"^{name} cannot be read: File name too long; correct the path"):
        find_study(name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_inaccessible_folder_is_reported(folder):
    (folder / "studies").chmod(0)
    with pytest.raises(
        StudyError, match=r"^studies/mine\.toml cannot be read: Permission denied; correct the path"
    ):
        find_study("studies/mine.toml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission_is_reported(folder, registry):
    (folder / "studies" / "mine.toml").chmod(0)
    with pytest.raises(StudyError, match="Permission denied"):
        load_study("mine", registry)


def test_byte_order_mark_is_ignored(folder, registry):
    (folder / "studies" / "mine.toml").write_bytes(b"\xef\xbb\xbf" + MINE.encode())
    assert load_study("mine", registry).dataset.name == "digits"


def test_file_with_invalid_study_name_is_rejected(folder, registry):
    (folder / "studies" / "my study.toml").write_text(MINE, encoding="utf-8")
    with pytest.raises(StudyError, match="got 'my study'; rename the file, or give a name with --name"):
        load_study("my study", registry)
    assert load_study("my study", registry, name="mine").name == "mine"


@pytest.fixture
def recorded(in_tmp, registry):
    """A study whose file is gone; its record has an override."""
    (in_tmp / "gone.toml").write_text(f"{MINE}[training]\nepochs = 5\n", encoding="utf-8")
    study = load_study("gone.toml", registry, overrides=["training.epochs=3"])
    (in_tmp / "gone.toml").unlink()
    path = in_tmp / "mlruns" / "zoo" / "gone" / "study.toml"
    path.parent.mkdir(parents=True)
    write_text(path, study.text)
    return study, path


def test_recorded_study_has_its_overrides(recorded, registry):
    study, _ = recorded
    again = load_study("gone", registry)
    assert again.text == study.text  # without the checksum, and each override once
    assert again.space_as_json() == study.space_as_json()
    assert load_study("gone", registry, overrides=["training.epochs=3"]).text == study.text
    assert load_study("gone", registry, overrides=["training.epochs=4"]).training["epochs"].default == 4


def test_damaged_recorded_study_is_an_error(recorded, registry):
    _, path = recorded
    path.write_text(path.read_text().replace("epochs = 5", "epochs = 6"))
    with pytest.raises(StudyError, match=r"study\.toml cannot be read: its checksum does not match; name"):
        load_study("gone", registry)
