"""`zoo models pack` and `zoo models unpack`."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from zoo.cli import models_command
from zoo.training.info import ModelInfo

TRIAL = "mlruns/zoo/example/trials/001"


def run(*arguments):
    options = {"catch_exceptions": False, "standalone_mode": False}
    return CliRunner().invoke(models_command.command, [*map(str, arguments)], **options)


@pytest.fixture
def pack(in_study, tmp_path):
    done = run("pack", TRIAL, tmp_path / "example.zip")
    return tmp_path / "example.zip", done


def test_pack_prints_its_members(pack):
    file, done = pack
    assert done.stdout.startswith(f"{file}  0.")
    assert done.stdout.endswith(" MB: SHA256SUMS, model.keras, info.json, README.md, config.json\n")
    assert done.stderr == f"next: zoo models unpack {file}   on another machine\n"


def test_unpack_names_the_folder_after_the_file(pack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("unpack", "example.zip")
    lines = done.stdout.splitlines()
    assert lines[0] == "example/"
    assert [line.split()[0] for line in lines[1:]] == sorted(path.name for path in tmp_path.glob("example/*"))
    assert done.stderr == "next: zoo predict ./example IMAGE   name the class of an image\n"


def test_unpack_says_what_the_model_needs(in_tmp, monkeypatch):
    monkeypatch.setattr(
        "zoo.models.unpack_model",
        lambda file, folder: folder.mkdir() or ModelInfo(modules={"zoo_layered": "zoo-layered==0.3"}),
    )
    assert run("unpack", "x.zip", "--output", "y").stderr.startswith(
        "the model needs: pip install zoo-layered==0.3\nnext: "
    )


def test_unpack_names_the_plugin_file_that_the_model_needs(in_tmp, monkeypatch):
    def unpack(file, folder):
        folder.mkdir()
        (folder / "my_net.py").touch()
        return ModelInfo(plugin_files={"my_net.py": "0" * 64})

    monkeypatch.setattr("zoo.models.unpack_model", unpack)
    assert run("unpack", "x.zip", "--output", "y").stderr == (
        "next: zoo predict ./y IMAGE --plugin ./y/my_net.py   name the class of an image\n"
    )
