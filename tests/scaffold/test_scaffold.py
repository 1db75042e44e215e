"""Writing a plugin distribution from the templates."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import tomllib
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo
from zoo import scaffold
from zoo.errors import PluginError
from zoo.registry import KINDS, Registry
from zoo.scaffold import LICENSES, write_plugin

every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def registry():
    """The built-in components only."""
    return Registry.load([])


@pytest.fixture
def write(in_tmp, registry):
    def write(name="zoo-mynet", kind="architecture", folder=None, **options):
        return write_plugin(name, kind, in_tmp / (folder or name), registry, **options)

    return write


def files_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@every_kind
def test_all_files_are_written_and_filled(write, in_tmp, kind):
    written = write(kind=kind)
    assert list(written) == [
        "pyproject.toml",
        "src/zoo_mynet/__init__.py",
        "tests/test_zoo_mynet.py",
        "README.md",
        "LICENSE",
        ".github/workflows/test.yml",
        ".gitignore",
    ]
    assert files_in(in_tmp) == {f"zoo-mynet/{file}" for file in written}
    assert written["src/zoo_mynet/__init__.py"] == f"the plugin: write your {kind} here"
    for file in written:
        text = (in_tmp / "zoo-mynet" / file).read_text(encoding="utf-8")
        assert text.endswith("\n")
        assert not re.search(r"\$\w", text), "a $name was not replaced"


@pytest.mark.parametrize(
    ("kind", "study"),
    [
        ("dataset", "mynet_conv_net"),
        ("architecture", "digits_mynet"),
        ("augmentation", "digits_mynet"),
    ],
)
def test_study_is_named_after_its_dataset(write, in_tmp, kind, study):
    write(kind=kind)
    text = (in_tmp / "zoo-mynet" / "README.md").read_text(encoding="utf-8")
    assert f"# studies/{study}.toml\n" in text
    assert f"zoo tune {study}\n" in text


def test_pyproject_has_the_metadata(write, in_tmp):
    write(author='Ada "Countess" Löve\\lace', license="bsd-3-clause")
    project = tomllib.loads((in_tmp / "zoo-mynet" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "zoo-mynet"
    assert project["authors"] == [{"name": 'Ada "Countess" Löve\\lace'}]
    assert project["license"] == "BSD-3-Clause"
    assert project["entry-points"] == {"zoo": {"mynet": "zoo_mynet"}}
    (requirement,) = project["dependencies"]
    major, minor = re.fullmatch(r"keras-zoo>=(\d+)\.(\d+),<1", requirement).groups()
    assert zoo.__version__.startswith(f"{major}.{minor}.")


@pytest.mark.parametrize(
    ("license", "begins"),
    [("apache-2.0", "Apache License"), ("mit", "MIT License"), ("bsd-3-clause", "BSD 3-Clause License")],
)
def test_license_file_has_the_license(write, in_tmp, license, begins):
    assert set(LICENSES) == {"apache-2.0", "mit", "bsd-3-clause"}
    written = write(license=license, author="Ada Lovelace")
    text = (in_tmp / "zoo-mynet" / "LICENSE").read_text(encoding="utf-8")
    assert text.lstrip().startswith(begins)
    assert written["LICENSE"] == LICENSES[license]
    assert ("Ada Lovelace" in text) == (license != "apache-2.0")  # whose text names nobody
    assert (str(date.today().year) in text) == (license != "apache-2.0")


def test_missing_author_becomes_the_authors_of_the_plugin(write, in_tmp):
    write(license="mit")
    license = (in_tmp / "zoo-mynet" / "LICENSE").read_text(encoding="utf-8")
    assert f"Copyright (c) {date.today().year} The authors of zoo-mynet\n" in license


def test_workflow_keeps_expressions_of_github(write, in_tmp):
    write()
    text = (in_tmp / "zoo-mynet" / ".github/workflows/test.yml").read_text(encoding="utf-8")
    assert "python-version: ${{ matrix.python }}\n" in text
    assert text.endswith("      - run: pytest\n")


@every_kind
@pytest.mark.parametrize("name", ["zoo-x", "zoo-a-network-with-a-rather-long-name"])
def test_written_files_pass_ruff(write, in_tmp, kind, name):
    ruff = shutil.which("ruff")
    if ruff is None:
        pytest.skip("ruff is not installed; the extra `lint` has it")
    write(name, kind)
    rules = ["--select", "E,F,W,I,UP,B,C4,SIM,RUF,PT,PTH,RET", "--ignore", "RUF001,RUF002,RUF003"]
    for command in (["check", *rules], ["format", "--check"]):
        options = ["--isolated", "--no-cache"]
        run = subprocess.run(
            [ruff, *command, *options], cwd=in_tmp / name, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr


@every_kind
def test_name_that_template_uses_is_refused(write, in_tmp, kind):
    """Names that the module and the test bind, and names of their arguments."""
    write(kind=kind)
    used = set()
    for file in ("src/zoo_mynet/__init__.py", "tests/test_zoo_mynet.py"):
        tree = ast.parse((in_tmp / "zoo-mynet" / file).read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.ImportFrom | ast.Import):
                used |= {alias.asname or alias.name for alias in node.names}
            elif isinstance(node, ast.FunctionDef) and node.name != "mynet":
                used |= {node.name, *(argument.arg for argument in node.args.args)}
    candidates = {name for name in used if name == name.lower()} - {"zoo_mynet"}
    assert {"register", "hookimpl"} <= candidates
    for name in candidates:
        with pytest.raises(
            PluginError,
            match=rf"cannot be named '{name}': .* or Python or the template uses it",
        ):
            write(f"zoo-{name.replace('_', '-')}", kind)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "Zoo_MyNet",
            r"^'Zoo_MyNet' cannot be the name .* such as 'zoo-mynet'\. Did you mean 'zoo-mynet'\?$",
        ),
        ("zoo mynet!", r"Did you mean 'zoo-mynet'\?$"),
        ("zoo--mynet", r"Did you mean 'zoo-mynet'\?$"),
        ("-", r"single hyphens, such as 'zoo-mynet'\.$"),
        ("", r"single hyphens, such as 'zoo-mynet'\.$"),
        ("3d-net", r"single hyphens, such as 'zoo-mynet'\.$"),
        ("zoo-mynet\n", r"Did you mean 'zoo-mynet'\?$"),
        ("../zoo-mynet", r"Did you mean 'zoo-mynet'\?$"),
        ("zoo-3d", r"cannot be named '3d': .* such as 'zoo-my-3d'\.$"),
        ("zoo-class", r"cannot be named 'class': .* such as 'zoo-my-class'\.$"),
        ("zoo-list", r"cannot be named 'list': "),
        ("zoo-conv-net", r"'conv_net' is already registered by keras-zoo .*\. Choose another name\.$"),
        ("json", r"a Python package 'json' is already installed, "),
        ("keras-zoo", r"^the distribution 'keras-zoo' is already installed, .*\. Choose another name\.$"),
        ("scikit-learn", r"^the distribution 'scikit-learn' is already installed, "),
    ],
)
def test_unusable_name_is_refused(write, in_tmp, name, message):
    with pytest.raises(PluginError, match=message) as caught:
        write(name, folder="plugin")
    assert len(str(caught.value).splitlines()) == 1
    assert not any(in_tmp.iterdir())


def error_of(*arguments, **options):
    """Return the error if no plugin is written; "" otherwise."""
    try:
        write_plugin(*arguments, **options)
    except PluginError as error:
        return str(error)
    return ""


@given(
    name=st.one_of(st.text(), st.from_regex(r"[a-z0-9_.-]{1,12}", fullmatch=True)),
    kind=st.sampled_from(list(KINDS)),
)
def test_any_name_is_refused_or_becomes_python(tmp_path_factory, registry, name, kind):
    folder = tmp_path_factory.mktemp("any") / "plugin"
    error = error_of(name, kind, folder, registry)
    if error:
        assert len(error.splitlines()) == 1
        assert not folder.exists()
        return
    (module,) = folder.glob("src/*/__init__.py")
    functions = [node.name for node in ast.parse(module.read_text("utf-8")).body if hasattr(node, "args")]
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["zoo"] == {functions[-1]: module.parent.name}
    assert f"register({functions[-1]})" in module.read_text("utf-8")


@given(author=st.text(min_size=1))
def test_any_author_is_refused_or_kept(tmp_path_factory, registry, author):
    folder = tmp_path_factory.mktemp("any") / "plugin"
    error = error_of("zoo-mynet", "dataset", folder, registry, author=author, license="mit")
    if error:
        assert len(error.splitlines()) == 1
        assert not author.isprintable() or not author.strip()
        return
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["authors"] == [{"name": author}]
    assert f"{date.today().year} {author}\n" in (folder / "LICENSE").read_text("utf-8")


class TestFolders:
    def test_empty_folder_is_filled(self, write, in_tmp):
        (in_tmp / "empty").mkdir()
        write(folder="empty")
        assert "empty/pyproject.toml" in files_in(in_tmp)

    def test_working_folder_is_filled(self, write, in_tmp, monkeypatch):
        (in_tmp / "here").mkdir()
        monkeypatch.chdir(in_tmp / "here")
        write(folder="here")
        assert Path("pyproject.toml").is_file()

    @pytest.mark.parametrize(
        ("folder", "message"),
        [
            ("full", r"the folder '.*/full' is not empty\. Choose another folder with --folder\.$"),
            ("full/file", r"'.*/full/file' exists and is not a folder\."),
            ("link", r"'.*/link' exists and is not a folder\."),
            (
                "absent/mynet",
                r"there is no folder '.*/absent', in which 'mynet' would be created\. Create it first\.$",
            ),
            ("full/file/mynet", r"there is no folder '.*/full/file', in which 'mynet'"),
        ],
    )
    def test_unusable_folder_is_refused_and_unchanged(self, write, in_tmp, folder, message):
        (in_tmp / "full").mkdir()
        (in_tmp / "full" / "file").write_text("mine")
        (in_tmp / "link").symlink_to(in_tmp / "nowhere")
        before = sorted(in_tmp.rglob("*"))
        with pytest.raises(PluginError, match=message):
            write(folder=folder)
        assert sorted(in_tmp.rglob("*")) == before

    def test_failed_write_leaves_nothing(self, write, in_tmp, monkeypatch):
        written = []

        def full_after_three(self, text, **options):
            if len(written) == 3:
                raise OSError(28, "No space left on device")
            written.append(self)

        monkeypatch.setattr(Path, "write_text", full_after_three)
        with pytest.raises(
            PluginError, match=r"cannot write the plugin to '.*/zoo-mynet': No space left on device\. Choose"
        ):
            write()
        assert len(written) == 3
        assert not any(in_tmp.iterdir())


def test_every_template_is_used():
    """A template is used for a file of at least one kind and license, or by another template."""
    templates = Path(scaffold.__file__).with_name("templates")
    templates_found = {str(path.relative_to(templates)) for path in templates.rglob("*") if path.is_file()}
    used = {
        template.replace("$kind", kind).replace("$license_key", license)
        for template, _ in scaffold.FILES.values()
        for kind in KINDS
        for license in LICENSES
    }
    assert templates_found == used | {f"{kind}/study.toml.txt" for kind in KINDS}


def test_purposes_of_files_can_become_json(write):
    assert json.loads(json.dumps(write()))["LICENSE"] == "Apache-2.0"
