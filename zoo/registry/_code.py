"""Digests of the code of components: a study and a prepared dataset are stale when it changes."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from zoo.registry._plugin import OWN_DISTRIBUTION, Component


def component_code_digest(component: Component) -> str:
    """Return the SHA-256 of the Python files of the component's package, sub-packages included.

    A function that lies in no package has the digest of its module. Of zoo's own components only the folder
    of the module counts. Code that has no file, as in a notebook, adds nothing to the digest.
    """
    return _digest(_modules(component))


def distribution_digests(*components: Component) -> dict[str, str]:
    """Return distribution -> SHA-256 of its plugins' code; zoo itself is left out, its version is enough."""
    modules: dict[str, set[Path]] = {}
    for component in components:
        if component.file:
            modules.setdefault(component.distribution, set()).update(_modules(component))
    return {name: _digest(modules[name]) for name in sorted(modules)}


def _modules(component: Component) -> set[Path]:
    """Return the files to digest: of each package its `__init__.py`, of other modules the module itself."""
    modules = {Path(component.file)} if component.file else set()
    with suppress(TypeError):  # it is not written in Python
        modules.add(Path(inspect.getsourcefile(inspect.unwrap(component.function)) or ""))
    if component.distribution == OWN_DISTRIBUTION:
        return {module.with_name("__init__.py") for module in modules}
    return {_package_of(module) for module in modules}


def _package_of(module: Path) -> Path:
    """Return the `__init__.py` of the outermost package that `module` lies in; `module` if there is none."""
    folder = module.parent
    while (folder / "__init__.py").is_file():
        module, folder = folder / "__init__.py", folder.parent
    return module


def _digest(modules: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for module in sorted(modules):
        # Paths are relative to the package: the same code in another place has the same digest.
        is_package = module.name == "__init__.py"
        for file in sorted(module.parent.rglob("*.py")) if is_package else [module]:
            with suppress(OSError):  # an archive, or not a file
                content = file.read_bytes()
                digest.update(f"{file.relative_to(module.parent)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
