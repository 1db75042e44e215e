"""`zoo plugins`."""

from __future__ import annotations

import json
import re

import pytest

import zoo

NEXT = "next: zoo plugins check NAME   run the conformance kit on one of them\n"
SHAPES = '''
from zoo import hookimpl


@hookimpl
def register_datasets(register):
    register(disks)


@hookimpl
def register_augmentations(register):
    register(circles)
    register(squares)


def disks():
    """Disks."""


def circles():
    """Circles."""


def squares():
    """Squares."""
'''


def rows(text):
    """Return the cells of each line, with every load time replaced by `… ms`."""
    lines = [re.sub(r"\d+ ms", "… ms", line) for line in text.splitlines()]
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]


def test_plugin_is_listed_with_its_registrations(zoo_command, install_plugin):
    site = install_plugin("zoo-shapes", "2.1", SHAPES)
    run = zoo_command("plugins", env={"PYTHONPATH": str(site)})
    assert (run.returncode, run.stderr) == (0, NEXT)
    ours = f"keras-zoo {zoo.__version__}"
    assert rows(run.stdout)[1] == [
        ours,
        "architectures",
        "loaded",
        "… ms",
        f"register_architectures: {', '.join(names(zoo_command, 'architectures'))}",
    ]
    assert rows(run.stdout)[-1] == [
        "zoo-shapes 2.1",
        "shapes",
        "loaded",
        "… ms",
        "register_datasets: disks; register_augmentations: circles, squares",
    ]


def names(zoo_command, kind):
    listed = json.loads(zoo_command("plugins", "--json").stdout)
    (plugin,) = (one for one in listed if one["name"] == kind)
    return [one.partition(" ")[2] for one in plugin["registered"]]


def test_left_out_plugin_is_a_warning_with_its_reason(zoo_command, install_plugin):
    site = install_plugin("zoo-broken", "0.1", "def register_datasets(register): ...")
    install_plugin("zoo-shapes", "2.1", SHAPES)
    run = zoo_command("plugins", env={"PYTHONPATH": str(site)})
    assert run.returncode == 0
    assert rows(run.stdout)[4] == ["zoo-broken 0.1", "broken", "left out"]
    assert run.stderr == (
        "warning: Plugin 'broken' of zoo-broken 0.1: register_datasets has no decorator; write "
        f"@zoo.hookimpl above it.\n{NEXT}"
    )


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["plugins", "--no-plugins"], {}),
        (["--no-plugins", "plugins"], {}),
        (["plugins"], {"ZOO_PLUGINS": ""}),
        (["--no-plugins", "plugins"], {"ZOO_PLUGINS": "zoo-shapes"}),
    ],
)
def test_no_plugins_loads_only_those_of_zoo(zoo_command, install_plugin, arguments, env):
    site = install_plugin("zoo-broken", "0.1", "import os; os._exit(1)")
    install_plugin("zoo-shapes", "2.1", SHAPES)
    run = zoo_command(*arguments, env={**env, "PYTHONPATH": str(site)})
    assert (run.returncode, run.stderr) == (0, NEXT)
    assert rows(run.stdout)[-2:] == [["zoo-broken 0.1", "broken", "off"], ["zoo-shapes 2.1", "shapes", "off"]]


def test_zoo_plugins_loads_only_the_named_ones(zoo_command, install_plugin):
    site = install_plugin("zoo-broken", "0.1", "import os; os._exit(1)")
    install_plugin("zoo-shapes", "2.1", SHAPES)
    run = zoo_command("list", "augmentations", env={"PYTHONPATH": str(site), "ZOO_PLUGINS": "zoo-shapes"})
    assert (run.returncode, len(run.stderr.splitlines())) == (0, 1)
    assert "circles" in run.stdout
    run = zoo_command("list", env={"PYTHONPATH": str(site), "ZOO_PLUGINS": "zoo-shape"})
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        "error: ZOO_PLUGINS: no installed distribution with plugins is named 'zoo-shape'. "
        "Did you mean 'zoo-shapes'?\n"
    )


def test_json_has_every_fact_of_a_plugin(zoo_command, install_plugin):
    site = install_plugin("zoo-shapes", "2.1", SHAPES)
    install_plugin("zoo-broken", "0.1", "1 / 0")
    run = zoo_command("plugins", "--json", env={"PYTHONPATH": str(site)})
    broken, shapes = json.loads(run.stdout)[-2:]
    assert shapes.pop("load_seconds") > 0
    assert shapes == {
        "name": "shapes",
        "distribution": "zoo-shapes",
        "version": "2.1",
        "state": "loaded",
        "problem": "",
        "hooks": ["register_datasets", "register_augmentations"],
        "registered": ["dataset disks", "augmentation circles", "augmentation squares"],
    }
    assert (broken["state"], broken["registered"]) == ("left out", [])
    assert broken["problem"] == (
        "Plugin 'broken' of zoo-broken 0.1 could not be loaded: ZeroDivisionError: division by zero "
        "(zoo_broken.py:1)"
    )
