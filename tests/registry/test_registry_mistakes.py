"""Mistakes of plugin authors, as the `zoo` command reports them about distributions that pip installed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from registry_mistakes import MISTAKES, hook

import zoo

PAGE = Path(__file__).parents[2] / "docs" / "plugin-errors.md"

# A selection, because each plugin costs a process.
INSTALLED = (
    "a_class", "a_lambda", "default_outside", "hook_raises", "hook_without_register", "illegal_name",
    "misspelt", "builtin_name", "no_num_classes", "missing_import", "low_above_high", "returns",
    "same_length_as_no_list", "syntax", "unannotated", "when_of_a_later",
)  # fmt: skip

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "0.1.0"
dependencies = ["{requires}"]

[project.entry-points.zoo]
{entry_points}
"""


def project(folder, name, requires, modules, **entry_points):
    """Write a distribution whose package has these modules; each module is a plugin."""
    package = name.replace("-", "_")
    entry_points = {**{module: f"{package}.{module}" for module in modules}, **entry_points}
    lines = "\n".join(f'{key} = "{value}"' for key, value in entry_points.items())
    (folder / name / package).mkdir(parents=True)
    (folder / name / "pyproject.toml").write_text(
        PYPROJECT.format(name=name, requires=requires, entry_points=lines)
    )
    for module, source in {"__init__": "", **modules}.items():
        (folder / name / package / f"{module}.py").write_text(source)
    return folder / name


@pytest.fixture(scope="module")
def wrong(tmp_path_factory, pip_install, zoo_command_of_module):
    """A function that runs `zoo` with every mistake installed."""
    folder = tmp_path_factory.mktemp("projects")
    modules = {name: MISTAKES[name][0] for name in INSTALLED}
    early = {"early": hook("def net(input_shape, num_classes): ...")}
    site = pip_install(
        project(folder, "zoo-wrong", "keras-zoo", modules, a_function="zoo_wrong.a_class:net"),
        project(folder, "zoo-early", "keras-zoo>=99", early),
    )
    return lambda *arguments: zoo_command_of_module(*arguments, env={"PYTHONPATH": str(site)})


@pytest.fixture(scope="module")
def problems():
    """The message about each plugin, in the order in which zoo loads the plugins."""
    endings = {name: MISTAKES[name][1].replace("FILE", f"zoo_wrong/{name}.py") for name in INSTALLED}
    endings["a_function"] = ": expected an entry point that names the module 'zoo_wrong.a_class', got 'net'."
    return [
        f"Plugin 'early' of zoo-early 0.1.0 requires keras-zoo >=99, but this is {zoo.__version__}; "
        "run `pip install --upgrade keras-zoo zoo-early`.",
        *(f"Plugin '{name}' of zoo-wrong 0.1.0{endings[name]}" for name in sorted(endings)),
    ]


def test_zoo_check_names_every_mistake_and_fails(wrong, problems):
    run = wrong("check", "digits_cnn")
    assert run.stderr.splitlines() == [f"error: {problem}" for problem in problems]
    assert run.returncode == 2
    assert run.stdout.startswith("study digits_cnn: ")
    assert "zoo-wrong" not in run.stdout


def test_zoo_list_warns_of_every_mistake_and_works(wrong, problems):
    run = wrong("list", "--json")
    assert run.stderr.splitlines() == [f"warning: {problem}" for problem in problems]
    assert run.returncode == 0
    assert {one["distribution"] for one in json.loads(run.stdout)["registered"]} == {"keras-zoo"}


def test_page_quotes_the_messages():
    """On the page the plugin is called `first`."""
    page = PAGE.read_text(encoding="utf-8")
    section = page.partition("## When the plugin registers its functions\n")[2].partition("\n## ")[0]
    shown = re.findall(r"`Plugin 'first' of zoo-wrong 0\.1\.0(.*)` \|$", section, re.MULTILINE)
    endings = {ending.replace("FILE", "zoo_wrong.py") for _, ending in MISTAKES.values()}
    endings.add(": expected an entry point that names the module 'zoo_wrong', got 'net'.")
    assert len(shown) > 15
    assert [line for line in shown if line not in endings] == []
