"""Checks under the other backends of Keras, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from zoo.process import spawn_worker
from zoo.testing import _workers
from zoo.testing._failures import Skipped
from zoo.testing._searched import SearchedSubject

_PROMISED = ("tensorflow", "jax")


def other_backends() -> list[str]:
    """Return the installed backends on which zoo's plugins must work, without the one in use."""
    import keras

    return [name for name in _PROMISED if name != keras.backend.backend() and find_spec(name)]


def outputs_under_others(
    subject: SearchedSubject,
    names: Sequence[str],
    options: Mapping[str, Any],
    arrays: Callable[[], Mapping[str, Any]] | None = None,
) -> Iterator[tuple[str, Any]]:
    """Run the checks `names` at the defaults under each other backend; yield backend and outputs.

    Args:
        options: further options of the check there.
        arrays: returns images and weights by name, for `outputs_with`; None if no outputs are wanted.

    Raises:
        Violation: a check does not pass there, or the outputs cannot be computed.
        Skipped: no other backend is installed, or another process cannot import the function.
    """
    import keras

    others = other_backends()
    if not others:
        raise Skipped(f"only {keras.backend.backend()} is installed")
    origin, point = subject.importable_origin(), subject.point()
    given = {name: value for name, value in subject.given.items() if name not in ("probe", "input_shape")}
    given |= {"points": [], "input_shapes": [point.shape], **options}
    with TemporaryDirectory() as folder:
        path = Path(folder, "arrays.npz") if arrays else None
        if arrays and path:
            np.savez(path, **arrays())
        for backend in others:
            arguments = (backend, type(subject), origin, given, list(names), path)
            worker = spawn_worker(_workers.run_checks, arguments)
            results, outputs = _workers.receive_answer(worker, f"under {backend}")
            # A failed check says more than those that were skipped because of it.
            for _, state, text in sorted(results, key=lambda result: result[1] != "failed"):
                if state != "passed":
                    text = f"expected the same under {backend}, but there {text.splitlines()[0]}"
                    raise subject.violation(point, text)
            if isinstance(outputs, str):
                raise subject.violation(point, f"expected the same under {backend}, but it raised {outputs}")
            yield backend, outputs
