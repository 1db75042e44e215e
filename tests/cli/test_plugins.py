"""`zoo plugins`."""

from __future__ import annotations

import json

import zoo

SHAPES = '''
from zoo import hookimpl


@hookimpl
def register_augmentations(register):
    register(circles)
    register(squares)


def circles():
    """Circles."""


def squares():
    """Squares."""
'''


def test_each_plugin_with_its_distribution_version_and_what_it_registers(zoo_command, install_plugin):
    site = install_plugin("zoo-shapes", "2.1", SHAPES)
    run = zoo_command("plugins", env={"PYTHONPATH": str(site)})
    assert (run.returncode, run.stderr) == (0, "")
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in run.stdout.splitlines()]
    architectures = next(row for row in rows if row[1] == "architectures")
    assert architectures[0] == f"keras-zoo {zoo.__version__}"
    assert architectures[2].startswith("architecture conv_net, architecture ")
    assert rows[-1] == ["zoo-shapes 2.1", "shapes", "augmentation circles, augmentation squares"]


def test_what_was_left_out_and_why(zoo_command, install_plugin):
    site = install_plugin("zoo-broken", "0.1", "def register_datasets(register): ...")
    install_plugin("zoo-shapes", "2.1", SHAPES)
    run = zoo_command("plugins", env={"PYTHONPATH": str(site)})
    assert run.returncode == 0
    assert [line.split() for line in run.stdout.splitlines()][3] == [
        "zoo-broken",
        "0.1",
        "broken",
        "left",
        "out",
    ]
    assert run.stderr == (
        "warning: Plugin 'broken' of zoo-broken 0.1: register_datasets lacks @zoo.hookimpl above it.\n"
    )


def test_json(zoo_command, install_plugin):
    site = install_plugin("zoo-shapes", "2.1", SHAPES)
    install_plugin("zoo-broken", "0.1", "1 / 0")
    plugins = json.loads(zoo_command("plugins", "--json", env={"PYTHONPATH": str(site)}).stdout)
    assert plugins[-1] == {
        "name": "shapes",
        "distribution": "zoo-shapes",
        "version": "2.1",
        "registered": ["augmentation circles", "augmentation squares"],
        "problem": "",
    }
    assert plugins[-2]["problem"] == (
        "Plugin 'broken' of zoo-broken 0.1 could not be loaded: ZeroDivisionError: division by zero"
    )
