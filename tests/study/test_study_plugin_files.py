"""The key `plugins` of a study file."""

from __future__ import annotations

import os

import pytest

from zoo.checksums import write_text
from zoo.errors import StudyError
from zoo.registry import Registry, keep_files, plugin_file, using_plugins
from zoo.study import load_study, parse_study

STUDY = """plugins = ["../nets/tiny_net.py"]
dataset = "digits"
architecture = "tiny_net"
"""
NET = "import zoo\n\n@zoo.architecture\ndef tiny_net(input_shape, num_classes):\n    '''Small.'''\n"


@pytest.fixture
def plain():
    return Registry.load(entry_points=[])


@pytest.fixture
def folder(in_tmp):
    for name in ("nets", "studies"):
        (in_tmp / name).mkdir()
    (in_tmp / "nets" / "tiny_net.py").write_text(NET)
    (in_tmp / "studies" / "small.toml").write_text(STUDY)
    return in_tmp


def test_path_is_relative_to_study_file(folder, plain):
    study = load_study("small", plain)
    file = plugin_file("nets/tiny_net.py")
    assert [one.digest for one in study.plugin_files] == [file.digest]
    assert study.plugin_versions() == {"keras-zoo": plain.plugins[0].version, "tiny_net.py": file.version}
    assert study.plugin_digests() == {"tiny_net.py": file.digest}
    assert study.baseline("d", 0).plugins["tiny_net.py:tiny_net"] == file.version
    assert plain.names("architecture") == Registry.load(entry_points=[]).names("architecture")


def test_file_named_twice_is_read_once(folder, plain):
    twice = '["../nets/tiny_net.py", "../studies/../nets/tiny_net.py"]'
    text = STUDY.replace('["../nets/tiny_net.py"]', twice)
    (file,) = parse_study(text, plain, "small", folder=folder / "studies").plugin_files
    assert file.name == "tiny_net.py"


def test_unused_file_is_not_part_of_study(folder, plain):
    text = STUDY.replace('architecture = "tiny_net"', 'architecture = "conv_net"')
    study = parse_study(text, plain, "small", folder=folder / "studies")
    assert study.plugin_files == ()


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (
            '"tiny_net.py"',
            'study:1: plugins: expected a list of plugin files, ["my_net.py"], got "tiny_net.py"',
        ),
        (
            '["../nets/tiny.py"]',
            "study:1: plugins: there is no plugin file ../nets/tiny.py. Did you mean 'tiny_n",
        ),
        ('["broken.py"]', "study:1: plugins: broken.py:1: SyntaxError: invalid syntax."),
        (
            '["exits.py"]',
            "study:1: plugins: the plugin file exits.py could not be loaded: SystemExit: 3 (exits.py",
        ),
    ],
)
def test_bad_value_is_one_line(folder, plain, value, line):
    (folder / "studies" / "broken.py").write_text("import import\n")
    (folder / "studies" / "exits.py").write_text("raise SystemExit(3)\n")
    text = f'plugins = {value}\ndataset = "digits"\narchitecture = "conv_net"\n'
    with pytest.raises(StudyError) as refused:
        parse_study(text, plain, "small", folder=folder / "studies")
    assert str(refused.value).startswith(line)
    assert len(str(refused.value).splitlines()) == 1


def test_recorded_study_uses_newest_copy(folder, plain):
    study = load_study("small", plain)
    record = folder / "mlruns" / "zoo" / "recorded"
    keep_files(record, study.plugin_files)
    older = record / "plugins" / "000000000000" / "tiny_net.py"
    older.parent.mkdir()
    older.write_text(NET.replace("Small", "Older"))
    os.utime(older, (0, 0))
    write_text(record / "study.toml", study.text)
    assert load_study("recorded", plain).plugin_versions() == study.plugin_versions()
    (folder / "nets" / "tiny_net.py").write_text(NET.replace("Small", "Changed"))
    with using_plugins(["nets/tiny_net.py"]):  # the user's own comes before the copy
        changed = load_study("recorded", Registry.load(entry_points=[]))
    assert changed.plugin_versions() != study.plugin_versions()
