"""The dataset in memory: a caller passes its arrays, so no plugin registers it."""

from __future__ import annotations

from typing import NoReturn

from zoo._version import __version__
from zoo.errors import PluginError
from zoo.registry._plugin import OWN_DISTRIBUTION, Component
from zoo.space import Space

IN_MEMORY = "in memory"  # not a valid name of a function, so no plugin can register it


def in_memory_component() -> Component:
    """Return the component that stands for a dataset in memory in a study's definition and record."""
    return Component(
        kind="dataset",
        name=IN_MEMORY,
        function=_refuse,
        space=Space(),
        description="A dataset that is passed in Python.",
        distribution=OWN_DISTRIBUTION,
        version=__version__,
        plugin="datasets",  # as all datasets of zoo
    )


def _refuse() -> NoReturn:
    raise PluginError(
        f"the dataset '{IN_MEMORY}' has no function that reads it. Pass its arrays in Python: "
        "zoo.tune(STUDY, dataset=zoo.Dataset.from_arrays(x, y))."
    )
