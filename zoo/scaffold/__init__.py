"""The plugin template: `write_plugin` writes the files of a new plugin distribution.

The template files contain `$names`, which `string.Template` replaces. copier and cookiecutter each need a
dozen packages, too many for seven files.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib.metadata
import importlib.util
import json
import keyword
import re
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from string import Template

from zoo._version import __version__
from zoo.errors import PluginError
from zoo.registry import HOOKS, Registry

LICENSES: Mapping[str, str] = {"apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-3-clause": "BSD-3-Clause"}
# path in the distribution -> template file, and the purpose of the file, which `zoo plugins new` prints
FILES: Mapping[str, tuple[str, str]] = {
    "pyproject.toml": ("pyproject.toml.txt", "name, version, dependencies, entry point for zoo"),
    "src/$package/__init__.py": ("$kind/module.py.txt", "the plugin: write your $kind here"),
    "tests/test_$package.py": ("test.py.txt", "runs every check of zoo's conformance kit"),
    "README.md": ("README.md.txt", "description for users"),
    "LICENSE": ("licenses/$license_key.txt", "$license"),
    ".github/workflows/test.yml": ("workflow.yml.txt", "runs the tests on GitHub Actions at every push"),
    ".gitignore": ("gitignore.txt", "the files that git ignores"),
}

_KIND_TEXTS = {
    "dataset": "a dataset",
    "architecture": "an architecture",
    "augmentation": "an augmentation policy",
    "metric": "a metric",
}
_TEMPLATES = Path(__file__).with_name("templates")
# Names that the templates use, so that the generated function cannot have one of them.
_TEMPLATE_NAMES = {
    "hookimpl",
    "register",
    "parametrize_with_checks",
    "check",
    "test_conformance",
    *HOOKS.values(),
}


def write_plugin(
    name: str, kind: str, folder: Path, registry: Registry, *, author: str = "", license: str = "apache-2.0"
) -> dict[str, str]:
    """Write a plugin distribution with one example component; return the purpose of each file, by path.

    Args:
        name: name of the distribution. For `zoo-mynet`, the package is `zoo_mynet` and the function `mynet`.
        kind: kind of the component: `dataset`, `architecture`, `augmentation` or `metric`.
        folder: folder for the files; new or empty.
        registry: installed components, whose names cannot be used again.
        license: key of LICENSES.

    Raises:
        PluginError: the name, the author or the folder cannot be used. No file is written.
    """
    values = _template_values(name, kind, author, license)
    _check_names(values, kind, registry)
    _check_folder(folder)
    texts = {_fill(path, values): _fill_template(template, values) for path, (template, _) in FILES.items()}
    try:
        # The files are written to a temporary folder and then moved: an error leaves no incomplete plugin.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            for path, text in texts.items():
                file = Path(scratch, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            folder.mkdir(exist_ok=True)
            for file in Path(scratch).iterdir():
                file.rename(folder / file.name)
    except OSError as error:
        raise PluginError(
            f"cannot write the plugin to '{folder}': {error.strerror}. Choose another folder with --folder."
        ) from error
    return {_fill(path, values): _fill(purpose, values) for path, (_, purpose) in FILES.items()}


def _template_values(name: str, kind: str, author: str, license: str) -> dict[str, str]:
    """Return the value of each `$name` in the templates; raise PluginError for an invalid name or author."""
    spelling = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if name != spelling or not re.match("[a-z]", name):
        hint = f" Did you mean '{spelling}'?" if re.match("[a-z]", spelling) else ""
        raise PluginError(
            f"{name!r} cannot be the name of a plugin distribution; expected a letter, then lower-case "
            f"letters, digits and single hyphens, such as 'zoo-mynet'.{hint}"
        )
    author = author or f"The authors of {name}"
    if not author.isprintable() or not author.strip():
        raise PluginError(f"--author: expected one line of printable text, got {author!r}.")
    package = name.replace("-", "_")
    function = package.removeprefix("zoo_")
    values = {
        "distribution": name,
        "package": package,
        "function": function,
        "kind": kind,
        "study_name": f"{function}_conv_net" if kind == "dataset" else f"digits_{function}",
        "summary": f"{function}: {_KIND_TEXTS[kind]} for zoo.",
        "author": author,
        "author_toml": json.dumps(author, ensure_ascii=False),  # a JSON string is a valid TOML string
        "license_key": license,
        "license": LICENSES[license],
        "year": str(date.today().year),
        "zoo": ".".join(__version__.split(".")[:2]),
    }
    return {**values, "study": _fill_template(f"{kind}/study.toml.txt", values).rstrip()}


def _check_names(values: Mapping[str, str], kind: str, registry: Registry) -> None:
    """Raise PluginError if the name of the function, distribution or package is invalid or in use."""
    distribution, package, function = values["distribution"], values["package"], values["function"]
    reserved = {*keyword.kwlist, *dir(builtins), *_TEMPLATE_NAMES}
    if not function.isidentifier() or function in reserved:
        raise PluginError(
            f"the function of '{distribution}' cannot be named '{function}': the name is invalid in Python, "
            "or Python or the template uses it. Choose another distribution name, such as "
            f"'zoo-my-{function}'."
        )
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        importlib.metadata.distribution(distribution)
        raise PluginError(
            f"the distribution '{distribution}' is already installed, and pip would replace it. "
            "Choose another name."
        )
    if function in registry.names(kind):
        origin = registry.get(kind, function).origin
        raise PluginError(
            f"the {kind} '{function}' is already registered by {origin}, and a study cannot use a name "
            "that is registered twice. Choose another name."
        )
    if importlib.util.find_spec(package) is not None:
        raise PluginError(
            f"a Python package '{package}' is already installed, and Python cannot import two packages of "
            "one name. Choose another name, or uninstall the package."
        )


def _check_folder(folder: Path) -> None:
    """Raise PluginError unless `folder` is an empty folder or can be created."""
    if not folder.parent.is_dir():
        raise PluginError(
            f"there is no folder '{folder.parent}', in which '{folder.name}' would be created. "
            "Create it first."
        )
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise PluginError(f"'{folder}' exists and is not a folder. Choose another folder with --folder.")
    if folder.is_dir() and any(folder.iterdir()):
        raise PluginError(f"the folder '{folder}' is not empty. Choose another folder with --folder.")


def _fill_template(template: str, values: Mapping[str, str]) -> str:
    """Return the text of a template file with its `$names` replaced."""
    return _fill((_TEMPLATES / _fill(template, values)).read_text(encoding="utf-8"), values)


def _fill(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with its `$names` replaced."""
    return Template(text).substitute(values)
