"""Templates of a plugin: `write_plugin` writes a whole distribution to start from.

The templates are plain text with `$names` for `string.Template`. copier or cookiecutter would each need a
dozen packages for these seven files.
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
# path in the distribution -> template, and the purpose of the file
FILES: Mapping[str, tuple[str, str]] = {
    "pyproject.toml": ("pyproject.toml.txt", "name, version, dependencies, and how zoo finds it"),
    "src/$package/__init__.py": ("$kind/module.py.txt", "the plugin: write your $kind here"),
    "tests/test_$package.py": ("test.py.txt", "runs every check of zoo's conformance kit"),
    "README.md": ("README.md.txt", "the page for its users"),
    "LICENSE": ("licenses/$license_key.txt", "$license"),
    ".github/workflows/test.yml": ("workflow.yml.txt", "runs the tests at every push, on GitHub Actions"),
    ".gitignore": ("gitignore.txt", "the files that git ignores"),
}

_TEMPLATES = Path(__file__).with_name("templates")
# The templates use these names, so the function cannot have one of them.
_USED = {"hookimpl", "register", "parametrize_with_checks", "check", "test_conformance", *HOOKS.values()}


def write_plugin(
    name: str, kind: str, folder: Path, registry: Registry, *, author: str = "", license: str = "apache-2.0"
) -> dict[str, str]:
    """Write the distribution `name` with one component of a kind; return path -> purpose of each file.

    For `zoo-mynet`, the package is `zoo_mynet` and the function `mynet`. If the name cannot be used, or
    `folder` is not empty, raise PluginError and write nothing. `license` is a key of LICENSES.
    """
    names = _names(name, kind, author, license)
    _check_free(names, kind, registry)
    _check_folder(folder)
    texts = {_filled(path, names): _text(template, names) for path, (template, _) in FILES.items()}
    try:
        # All files or none: they are written beside `folder`, and then moved there.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            for path, text in texts.items():
                file = Path(scratch, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            folder.mkdir(exist_ok=True)
            for file in Path(scratch).iterdir():
                file.rename(folder / file.name)
    except OSError as error:
        raise PluginError(f"'{folder}' cannot be written: {error.strerror}.") from error
    return {_filled(path, names): _filled(purpose, names) for path, (_, purpose) in FILES.items()}


def _names(name: str, kind: str, author: str, license: str) -> dict[str, str]:
    """Return the values of the `$names` in the templates."""
    spelling = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if name != spelling or not re.match("[a-z]", name):
        hint = f" Did you mean '{spelling}'?" if re.match("[a-z]", spelling) else ""
        raise PluginError(
            f"{name!r} is not a name for a plugin distribution; expected lower-case letters, digits and "
            f"single hyphens, with a letter first, such as 'zoo-mynet'.{hint}"
        )
    author = author or f"The authors of {name}"
    if not author.isprintable() or not author.strip():
        raise PluginError(f"--author: expected one line of text, got {author!r}.")
    package = name.replace("-", "_")
    function = package.removeprefix("zoo_")
    names = {
        "distribution": name,
        "package": package,
        "function": function,
        "kind": kind,
        "study_name": f"{function}_conv_net" if kind == "dataset" else f"digits_{function}",
        "summary": f"{function}: {'a' if kind == 'dataset' else 'an'} {kind} for zoo.",
        "author": author,
        "author_toml": json.dumps(author, ensure_ascii=False),  # TOML and JSON write a string alike
        "license_key": license,
        "license": LICENSES[license],
        "year": str(date.today().year),
        "zoo": ".".join(__version__.split(".")[:2]),
    }
    return {**names, "study": _text(f"{kind}/study.toml.txt", names).rstrip()}


def _check_free(names: Mapping[str, str], kind: str, registry: Registry) -> None:
    """Raise PluginError if one of `names` is in use, or has another meaning in Python."""
    function, package = names["function"], names["package"]
    reserved = {*keyword.kwlist, *dir(builtins), *_USED}
    if not function.isidentifier() or function in reserved:
        raise PluginError(
            f"The {kind} of '{names['distribution']}' would be a function called '{function}', which is not "
            "a valid name in Python, or is used by Python or the template. Choose another name, such as "
            f"'zoo-my-{function}'."
        )
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        importlib.metadata.distribution(names["distribution"])
        raise PluginError(
            f"The distribution '{names['distribution']}' is already installed, and pip would replace it. "
            "Choose another name."
        )
    if function in registry.names(kind):
        entry = registry.get(kind, function)
        raise PluginError(
            f"The {kind} '{function}' is already registered by {entry.origin}, and a study cannot use a name "
            "that is registered twice. Choose another name."
        )
    if importlib.util.find_spec(package) is not None:
        raise PluginError(
            f"A Python package '{package}' already exists, and Python imports only one of two with one name. "
            "Choose another name, or uninstall the package."
        )


def _check_folder(folder: Path) -> None:
    """Raise PluginError unless `folder` can be created, or is empty."""
    if not folder.parent.is_dir():
        raise PluginError(f"There is no folder '{folder.parent}' for '{folder.name}'; create it first.")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise PluginError(f"'{folder}' exists and is not a folder. Choose another one with --folder.")
    if folder.is_dir() and any(folder.iterdir()):
        raise PluginError(f"The folder '{folder}' is not empty. Choose another one with --folder.")


def _text(template: str, names: Mapping[str, str]) -> str:
    return _filled((_TEMPLATES / _filled(template, names)).read_text(encoding="utf-8"), names)


def _filled(text: str, names: Mapping[str, str]) -> str:
    return Template(text).substitute(names)
