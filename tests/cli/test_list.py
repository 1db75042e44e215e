"""`zoo list`."""

from __future__ import annotations

import json
import re

import zoo

NEXT = "next: zoo show NAME   one of them in full\n"
SHAPES = '''
from zoo import hookimpl


@hookimpl
def register_datasets(register):
    register(shapes)


def shapes():
    """Circles and squares."""
'''


def test_components_and_studies_are_listed_with_their_origin(zoo_command):
    run = zoo_command("list")
    assert (run.returncode, run.stderr) == (0, NEXT)
    lines = [line.split() for line in run.stdout.splitlines()]
    assert [line[0] for line in lines if len(line) < 3] == [
        "datasets",
        "architectures",
        "augmentation",
        "studies",
    ]
    assert {line[0] for line in lines} > {
        "mnist",
        "digits",
        "conv_net",
        "none",
        "affine",
        "digits_cnn",
        "mnist_cnn",
    }
    mnist = next(line for line in run.stdout.splitlines() if line.startswith("  mnist "))
    assert mnist.endswith(f"[keras-zoo {zoo.__version__}]")
    assert "60,000 for training" in mnist


def test_kind_limits_the_list(zoo_command):
    assert zoo_command("list", "architectures").stdout.split()[:2] == ["architectures", "conv_net"]
    assert "conv_net" not in zoo_command("list", "datasets").stdout
    studies = zoo_command("list", "studies").stdout
    assert re.search(r"^  digits_cnn +A search that takes seconds", studies, re.M)


def test_json_is_the_only_output_on_stdout(zoo_command, install_plugin):
    site = install_plugin("zoo-shapes", "2.1", SHAPES)
    install_plugin("zoo-loud", "1.0", f"print('a plugin that prints')\n{SHAPES}")
    run = zoo_command("list", "--json", env={"PYTHONPATH": str(site)})
    found = json.loads(run.stdout)
    assert run.stderr == (
        "warning: Plugin 'loud' of zoo-loud 1.0 prints when it is loaded: 'a plugin that prints'; "
        "remove the output, or print in a function.\n"
    )
    assert found["registered"][1:3] != []
    assert {
        "kind": "dataset",
        "name": "shapes",
        "description": "Circles and squares.",
        "distribution": "zoo-shapes",
        "version": "2.1",
    } in found["registered"]
    assert found["studies"] == sorted(found["studies"])
    assert {"digits_cnn", "mnist_cnn"} <= set(found["studies"])


def test_studies_are_listed_with_their_first_comment(zoo_command, tmp_path):
    studies = tmp_path / "studies"
    studies.mkdir()
    (studies / "mine.toml").write_text("# Which bird is it?\n#\n", encoding="utf-8")
    (studies / "bare.toml").write_text('dataset = "digits"\n', encoding="utf-8")
    (studies / "odd.toml").write_bytes(b"\xef\xbb\xbf# \xff\n")
    (studies / "lost.toml").symlink_to(tmp_path / "nowhere.toml")
    run = zoo_command("list", "studies")
    assert (run.returncode, run.stderr) == (0, NEXT)
    lines = dict(
        line.split(maxsplit=1) if " " in line.strip() else (line.strip(), "")
        for line in run.stdout.splitlines()
    )
    assert lines["mine"] == "Which bird is it?"
    assert lines["bare"] == ""
    assert lines["lost"] == "cannot be read: No such file or directory"


def test_broken_plugin_is_a_warning_below_the_list(zoo_command, install_plugin):
    site = install_plugin("zoo-broken", "0.1", "raise RuntimeError('no\\nGPU')")
    install_plugin("zoo-shapes", "2.1", SHAPES)
    install_plugin("zoo-again", "3", SHAPES)
    run = zoo_command("list", env={"PYTHONPATH": str(site)})
    assert run.returncode == 0
    assert run.stderr.splitlines() == [
        "warning: Plugin 'broken' of zoo-broken 0.1 could not be loaded: RuntimeError: no GPU "
        "(zoo_broken.py:1)",
        "warning: the dataset 'shapes' is registered more than once: by plugin 'again' of zoo-again 3 and by "
        "plugin 'shapes' of zoo-shapes 2.1. Uninstall zoo-again or "
        "zoo-shapes, or ask an author to rename the dataset.",
        NEXT.rstrip(),
    ]
    assert "conv_net" in run.stdout
    assert "Circles" not in run.stdout
