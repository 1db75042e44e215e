"""The plugins in README.md and docs/plugins.md work: they are written from the pages, installed and used."""

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

# For the plugin files of both pages; docs/plugins.md contains a test of the package.
FILES_TEST = """
import my_net
import tiny_net
from zoo.testing import check_architecture


def test_tiny_net():
    check_architecture(tiny_net.tiny_net, samples=1)


def test_my_net():
    check_architecture(my_net.my_net, samples=1, needs_plugin_to_load=True)
"""

# For zoo_gain of docs/plugins.md, which is in `src` beside zoo_first and is not installed.
OWN_LAYERS_TEST = """
import zoo_gain
from zoo.testing import check_architecture, check_augmentation


def test_gain_net():
    check_architecture(zoo_gain.gain_net, needs_plugin_to_load=True)


def test_dim():
    check_augmentation(zoo_gain.dim)
"""


def files_on(page):
    """Return the files on a page: the blocks that start with `# NAME` or, as a continuation, `# NAME, …`."""
    files = {}
    text = page.read_text(encoding="utf-8")
    pattern = r"^```(?:python|toml)\n# ([\w./]+\.(?:py|toml))(?:, [^\n]*)?\n(.*?)^```$"
    for name, block in re.findall(pattern, text, re.MULTILINE | re.DOTALL):
        files[name] = files.get(name, "") + block
    return files


def write(files, folder):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def created(tmp_path_factory, zoo_command_of_module):
    """A folder with the output of `zoo plugins new`, and what it printed."""
    folder = tmp_path_factory.mktemp("documented")
    run = zoo_command_of_module(*["plugins", "new", "zoo-first", "--kind", "architecture"], folder=folder)
    assert run.returncode == 0, run.stderr
    (folder / "zoo-first").rename(folder / PAGE.stem)
    return folder, run.stdout + run.stderr


@pytest.fixture(scope="module")
def installed(created):
    """A folder with the files of both pages, and the package of docs/plugins.md, installed into `site`."""
    folder, _ = created
    for page in (README, PAGE):
        write(files_on(page), folder / page.stem)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-index", "--no-deps", "--no-build-isolation", "--no-cache-dir"),
            *("--target", str(folder / "site"), str(folder / PAGE.stem)),
        ],
        check=True,
        timeout=300,
    )
    return folder


@pytest.fixture
def with_plugins(installed, clean_environment):
    return {**clean_environment, "PYTHONPATH": str(installed / "site")}


def test_page_shows_output_of_plugins_new(created):
    _, output = created
    assert f"$ zoo plugins new zoo-first --kind architecture\n{output}```" in PAGE.read_text(encoding="utf-8")


def test_page_shows_the_entry_point(created):
    folder, _ = created
    project = tomllib.loads((folder / PAGE.stem / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    blocks = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert {"project": {"entry-points": project["entry-points"]}} in map(tomllib.loads, blocks)


def test_zoo_lists_all_plugins(installed, zoo_command, with_plugins):
    files = [installed / README.stem / "tiny_net.py", installed / PAGE.stem / "my_net.py"]
    run = zoo_command("list", "--json", *(f"--plugin={file}" for file in files), env=with_plugins)
    assert run.stderr == ""
    found = {(one["kind"], one["name"], one["distribution"]) for one in json.loads(run.stdout)["registered"]}
    assert found >= {
        ("architecture", "tiny_net", "tiny_net.py"),
        ("architecture", "my_net", "my_net.py"),
        ("architecture", "stack_net", "zoo-first"),
        ("augmentation", "flip", "zoo-first"),
        ("dataset", "bars", "zoo-first"),
    }


def test_page_shows_output_of_list_and_show(installed, zoo_command, with_plugins):
    page = PAGE.read_text(encoding="utf-8")
    for arguments in (["list", "architectures"], ["show", "stack_net"], ["show", "bars"]):
        shown = re.search(
            rf"^\$ zoo {' '.join(arguments)}\n(.*?)(?=^\$ |^```$)", page, re.MULTILINE | re.DOTALL
        )
        run = zoo_command(*arguments, env=with_plugins)
        lines = (run.stdout + run.stderr).strip().splitlines()
        # A line of … stands for omitted lines.
        expected = r"\n(.*\n)*".join(map(re.escape, shown[1].strip().split("\n…\n")))
        assert re.fullmatch(expected, "\n".join(lines))


def test_study_on_page_is_valid(installed, zoo_command, with_plugins):
    run = zoo_command("check", "bars_stack", folder=installed / PAGE.stem, env=with_plugins)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("study bars_stack: ok (6 trials, tpe)\n")


@pytest.mark.parametrize(("page", "study"), [(README, "digits_tiny"), (PAGE, "digits_mine")])
def test_study_of_plugin_file_is_valid(installed, zoo_command, page, study):
    run = zoo_command("check", f"{page.stem}/{study}.toml", folder=installed)
    assert run.returncode == 0, run.stderr


def test_page_shows_output_of_plugins_check(installed, zoo_command, with_plugins):
    """The first checks only, since all of them take long."""
    page = PAGE.read_text(encoding="utf-8")
    shown = re.search(r"^\$ zoo plugins check stack_net\n(.*?)^  …$", page, re.MULTILINE | re.DOTALL)
    checks = re.findall(r"^  (\w+) ", shown[1], re.MULTILINE)
    options = [part for check in checks for part in ("--check", check)]
    run = zoo_command("plugins", "check", "stack_net", *options, env=with_plugins)
    assert run.stdout == f"{shown[1]}{len(checks)} checks: {len(checks)} passed\n"


def test_plugins_on_pages_keep_the_contract(installed, with_plugins, warm_command):
    """All tests run in one process, since starting Keras takes long."""
    tests = [
        installed / PAGE.stem / "tests" / "test_zoo_first.py",
        installed / "test_files.py",
        installed / "test_zoo_gain.py",
    ]
    tests[1].write_text(FILES_TEST, encoding="utf-8")
    tests[2].write_text(OWN_LAYERS_TEST, encoding="utf-8")
    folders = [installed / PAGE.stem / "src", installed / PAGE.stem, installed / README.stem]
    path = os.pathsep.join([with_plugins["PYTHONPATH"], *map(str, folders)])
    run = warm_command.pytest(*tests, cwd=installed, env={**with_plugins, "PYTHONPATH": path})
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"^4\d passed", run.stdout, re.MULTILINE)
