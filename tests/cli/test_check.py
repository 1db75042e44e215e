"""`zoo check`."""

from __future__ import annotations

from pathlib import Path

import pytest

GOOD = 'dataset = "digits"\narchitecture = "conv_net"\n[search]\ntrials = 5\n'
CLASH = """
from zoo import hookimpl

@hookimpl
def register_datasets(register):
    register(squares)

def squares(): ...
"""


@pytest.fixture
def study(tmp_path):
    """Write a study file into the working folder."""
    (tmp_path / "studies").mkdir()

    def study(name, text):
        (tmp_path / "studies" / f"{name}.toml").write_text(text, encoding="utf-8")

    return study


# The studies folder of this repository is the one that is shipped.
SHIPPED = [path.stem for path in (Path(__file__).parents[2] / "studies").glob("*.toml")]


def test_all_known_studies_and_plugins_are_checked(zoo_command, study):
    study("mine", GOOD)
    run = zoo_command("check")
    assert run.returncode == 0
    assert run.stderr == "next: zoo tune STUDY   search for the best model of a study\n"
    assert "study mine: ok (5 trials, tpe)" in run.stdout
    assert "study mnist_cnn: " in run.stdout
    assert "study digits_cnn: " in run.stdout
    assert "plugin architectures of keras-zoo" in run.stdout


def test_only_the_named_studies_are_checked(zoo_command, study):
    study("mine", GOOD)
    study("broken", "x")
    run = zoo_command("check", "mine", "studies/mine.toml")
    assert run.returncode == 0
    assert run.stdout.count("ok (5 trials, tpe)") == 2
    assert "digits_cnn" not in run.stdout


def test_every_problem_of_every_study_has_a_line(zoo_command, study):
    study("one", GOOD.replace("trials = 5", "trials = 0").replace("conv_net", "convnet"))
    study("two", "[search\n")
    study("three", GOOD)
    run = zoo_command("check", "one", "two", "three", "four")
    assert run.returncode == 2
    assert "study three: ok (5 trials, tpe)" in run.stdout
    assert "study one" not in run.stdout
    lines = run.stderr.splitlines()
    assert lines[:2] == [
        "error: studies/one.toml:2: [architecture] name: there is no architecture named 'convnet'. "
        "Did you mean 'conv_net'?",
        "error: studies/one.toml:4: [search] trials: expected an integer >= 1, got 0",
    ]
    assert lines[2].startswith("error: studies/two.toml:1: not TOML: ")
    message, names = lines[3].rstrip(".").split("Available: ")
    assert message == "error: there is no study named 'four' in ./studies or among the shipped studies. "
    assert names.split(", ") == sorted({*SHIPPED, "one", "two", "three"})
    assert len(lines) == 4


def test_broken_plugin_is_a_problem_beside_checked_studies(zoo_command, install_plugin):
    site = install_plugin("zoo-broken", "0.1", "import sys; sys.exit()")
    run = zoo_command("check", env={"PYTHONPATH": str(site)})
    assert run.returncode == 2
    assert (
        run.stderr
        == "error: Plugin 'broken' of zoo-broken 0.1 could not be loaded: SystemExit (zoo_broken.py:1)\n"
    )
    assert "study digits_cnn: " in run.stdout
    assert "broken" not in run.stdout


def test_study_of_a_broken_plugin_names_the_plugin(zoo_command, install_plugin, study):
    site = install_plugin("zoo-broken", "0.1", "1 / 0")
    study("mine", GOOD.replace("conv_net", "res_net"))
    run = zoo_command("check", "mine", env={"PYTHONPATH": str(site)})
    line = run.stderr.splitlines()[1]
    assert line.startswith(
        "error: studies/mine.toml:2: [architecture] name: there is no architecture named 'res_net'. "
        "Available: cats_and_dogs_net, conv_net, "
    )
    assert line.endswith(
        ". (Left out: Plugin 'broken' of zoo-broken 0.1 could not be loaded: "
        "ZeroDivisionError: division by zero (zoo_broken.py:1))"
    )


def test_ambiguous_name_is_an_error_of_its_study(zoo_command, install_plugin, study):
    site = install_plugin("zoo-clash", "9.9", CLASH)
    install_plugin("zoo-bang", "1.1", CLASH)
    study("mine", GOOD.replace("digits", "squares"))
    run = zoo_command("check", "mine", "mnist_cnn", env={"PYTHONPATH": str(site)})
    assert run.returncode == 2
    assert "study mnist_cnn: " in run.stdout
    about_study = run.stderr.splitlines()[1]
    assert about_study == (
        "error: studies/mine.toml:1: [dataset] name: the dataset 'squares' is registered more than once: by "
        "plugin 'bang' of zoo-bang 1.1 and by plugin 'clash' of zoo-clash 9.9. Uninstall "
        "zoo-bang or zoo-clash, or ask an author to rename the dataset."
    )


def test_plugin_with_a_builtin_name_leaves_studies_ok(zoo_command, install_plugin, study):
    site = install_plugin("zoo-clash", "9.9", CLASH.replace("squares", "digits"))
    study("mine", GOOD)
    run = zoo_command("check", "mine", env={"PYTHONPATH": str(site)})
    assert run.stdout.startswith("study mine: ok (5 trials, tpe)\n")
    assert run.stderr == (
        "error: Plugin 'clash' of zoo-clash 9.9: register_datasets registered 'digits', but zoo has "
        "a built-in dataset of this name; rename the function.\n"
    )
    assert zoo_command("check", "mine", "--no-plugins", env={"PYTHONPATH": str(site)}).returncode == 0


@pytest.mark.parametrize("arguments", [(), ("mine",), ("studies/mine.toml",)])
def test_missing_data_file_is_a_problem(zoo_command, study, arguments):
    dataset = 'dataset = { name = "csv_images", train = "nowhere.csv" }'
    study("mine", GOOD.replace('dataset = "digits"', dataset))
    run = zoo_command("check", *arguments)
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: study 'mine': dataset 'csv_images': train = \"nowhere.csv\": no such file")
    assert "study mine" not in run.stdout


def test_data_of_a_shipped_study_is_needed_only_if_named(zoo_command):
    run = zoo_command("check")
    assert run.returncode == 0
    assert "study signs: ok (16 trials, tpe, data not found)" in run.stdout
    run = zoo_command("check", "signs")
    assert run.returncode == 2
    assert run.stderr.startswith("error: study 'signs': dataset 'csv_images': ")
