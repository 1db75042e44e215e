"""The plugins shown in the README and in docs/plugins.md: built from the pages, installed with pip, used."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README, PAGE = ROOT / "README.md", ROOT / "docs" / "plugins.md"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pip") is None, reason="pip is not installed in this environment"
)

# docs/plugins.md brings a test of its own.
README_TEST = """
import zoo_tiny
from zoo.testing import check_architecture


def test_tiny_net():
    check_architecture(zoo_tiny.tiny_net, samples=1)
"""

# Of the page's layers of one's own; `src` has them beside zoo_first, which alone is installed.
OWN_LAYERS_TEST = """
import zoo_gain
from zoo.testing import check_architecture, check_augmentation


def test_gain_net():
    check_architecture(zoo_gain.gain_net, needs_plugin_to_load=True)


def test_dim():
    check_augmentation(zoo_gain.dim)
"""


def files_on(page):
    """The files a page shows: every block that begins with `# NAME`, or goes on with `# NAME, …`."""
    files = {}
    text = page.read_text(encoding="utf-8")
    shown = r"^```(?:python|toml)\n# ([\w./]+\.(?:py|toml))(?:, [^\n]*)?\n(.*?)^```$"
    for name, block in re.findall(shown, text, re.MULTILINE | re.DOTALL):
        files[name] = files.get(name, "") + block
    return files


def write(files, folder):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def begun(tmp_path_factory, zoo_command_of_module):
    """A folder, and what `zoo plugins new` said in it, as the page has it typed."""
    folder = tmp_path_factory.mktemp("documented")
    run = zoo_command_of_module(*["plugins", "new", "zoo-first", "--kind", "architecture"], folder=folder)
    assert run.returncode == 0, run.stderr
    (folder / "zoo-first").rename(folder / PAGE.stem)
    return folder, run.stdout + run.stderr


@pytest.fixture(scope="module")
def installed(begun):
    """A folder in which pip installed both plugins: in `site`; what they came from is beside it."""
    folder, _ = begun
    for page in (README, PAGE):
        source = folder / page.stem
        write(files_on(page), source)
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
                *("--no-index", "--no-deps", "--no-build-isolation", "--no-cache-dir"),
                *("--target", str(folder / "site"), str(source)),
            ],
            check=True,
            timeout=300,
        )
    return folder


@pytest.fixture
def with_plugins(installed, clean_environment):
    return {**clean_environment, "PYTHONPATH": str(installed / "site")}


def test_what_was_written_is_what_the_page_shows(begun):
    _, told = begun
    assert f"$ zoo plugins new zoo-first --kind architecture\n{told}```" in PAGE.read_text(encoding="utf-8")


def test_the_entry_point_is_the_one_on_the_page(begun):
    folder, _ = begun
    project = tomllib.loads((folder / PAGE.stem / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    blocks = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert {"project": {"entry-points": project["entry-points"]}} in map(tomllib.loads, blocks)


def test_zoo_lists_them(installed, zoo_command, with_plugins):
    run = zoo_command("list", "--json", env=with_plugins)
    assert run.stderr == ""
    found = {(one["kind"], one["name"], one["distribution"]) for one in json.loads(run.stdout)["registered"]}
    assert found >= {
        ("architecture", "tiny_net", "zoo-tiny"),
        ("architecture", "stack_net", "zoo-first"),
        ("augmentation", "flip", "zoo-first"),
        ("dataset", "bars", "zoo-first"),
    }


def test_what_zoo_says_of_them_is_what_the_page_shows(installed, zoo_command, with_plugins):
    page = PAGE.read_text(encoding="utf-8")
    for arguments in (["list", "architectures"], ["show", "stack_net"], ["show", "bars"]):
        shown = re.search(
            rf"^\$ zoo {' '.join(arguments)}\n(.*?)(?=^\$ |^```$)", page, re.MULTILINE | re.DOTALL
        )
        lines = zoo_command(*arguments, env=with_plugins).stdout.strip().splitlines()
        # The README's plugin is installed here too; a line with … alone stands for what is left out.
        printed = "\n".join(line for line in lines if "zoo-tiny" not in line)
        expected = r"\n(.*\n)*".join(map(re.escape, shown[1].strip().split("\n…\n")))
        assert re.fullmatch(expected, printed)


def test_the_study_that_uses_them_is_in_order(installed, zoo_command, with_plugins):
    run = zoo_command("check", "bars_stack", folder=installed / PAGE.stem, env=with_plugins)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("study bars_stack: ok (6 trials, tpe)\n")


def test_what_the_kit_says_of_one_is_what_the_page_shows(installed, zoo_command, with_plugins):
    """Its first checks, since all of them take their time."""
    page = PAGE.read_text(encoding="utf-8")
    shown = re.search(r"^\$ zoo plugins check stack_net\n(.*?)^  …$", page, re.MULTILINE | re.DOTALL)
    checks = re.findall(r"^  (\w+) ", shown[1], re.MULTILINE)
    options = [part for check in checks for part in ("--check", check)]
    run = zoo_command("plugins", "check", "stack_net", *options, env=with_plugins)
    assert run.stdout == f"{shown[1]}{len(checks)} checks: {len(checks)} passed\n"


def test_they_keep_the_contract(installed, with_plugins):
    """Both pages' tests in one process, since importing Keras takes its time."""
    tests = [
        installed / PAGE.stem / "tests" / "test_zoo_first.py",
        installed / "test_zoo_tiny.py",
        installed / "test_zoo_gain.py",
    ]
    tests[1].write_text(README_TEST, encoding="utf-8")
    tests[2].write_text(OWN_LAYERS_TEST, encoding="utf-8")
    path = os.pathsep.join([with_plugins["PYTHONPATH"], str(installed / PAGE.stem / "src")])
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, tests)],
        cwd=installed,
        env={**os.environ, **with_plugins, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"^4\d passed", run.stdout, re.MULTILINE)
