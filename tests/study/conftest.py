"""A registry with the built-ins and a plugin with further kinds of parameters."""

from typing import Annotated

import pytest

from zoo import Choice, Float, Int, List, Setting, hookimpl
from zoo.registry import Plugin, Registry


class StudyPlugin:
    """A dataset with parameters, an architecture with parallel lists, a policy named like a network."""

    @hookimpl
    def register_datasets(self, register):
        def photo_folder(
            *,
            path: str,
            image_size: Annotated[int, Int(8, 256)] = 32,
            count: Annotated[int, Setting(Int(1, 100))] = 10,
            sides: Annotated[tuple, List(Int(1, 9), length=(1, 3))] = (2, 3),
            crops: Annotated[tuple, List(Int(1, 9), same_length_as="sides")] = (1, 1),
        ):
            """Folders of images."""

        register(photo_folder)

    @hookimpl
    def register_architectures(self, register):
        def res_net(
            input_shape,
            num_classes,
            *,
            filters: Annotated[tuple, List(Int(8, 128, log=True), length=(1, 4))] = (32, 64),
            kernels: Annotated[tuple, List(Choice(3, 5), same_length_as="filters")] = (3, 3),
            pooling: Annotated[str, Choice("max", "none")] = "max",
            pool_size: Annotated[int, Int(2, 4, when={"pooling": "max"})] = 2,
        ):
            """Shortcuts around blocks."""

        register(res_net)

    @hookimpl
    def register_augmentations(self, register):
        def conv_net(*, dropout: Annotated[float, Float(0.0, 0.5)] = 0.1):
            """Named like an architecture."""

        register(conv_net)

    @hookimpl
    def register_metrics(self, register):
        def kappa(y_true, probabilities):
            """Agreement beyond chance."""

        def cost(y_true, probabilities):
            """Mean cost of a mistake."""

        register(kappa)
        register(cost, direction="minimize")


@pytest.fixture(scope="session")
def registry():
    registry = Registry.load([])
    registry.add(Plugin("study", "zoo-study", "1.0"), StudyPlugin)
    assert registry.problems == []
    return registry
