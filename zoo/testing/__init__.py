"""The conformance kit: checks that the functions of a plugin meet zoo's contract.

The tests of a plugin use it, with one test for each check:

    from zoo.testing import parametrize_with_checks

    @parametrize_with_checks(my_net)
    def test_my_net(check):
        check()

`check_architecture(my_net)` runs all checks in one call. A failed check raises `CheckFailed`. Its
message states the call, the check, what was expected, what was found, and a command that reproduces the
failure.
"""

from zoo.testing.architectures import check_architecture
from zoo.testing.augmentations import check_augmentation
from zoo.testing.datasets import check_dataset
from zoo.testing.kit import CheckFailed
from zoo.testing.metrics import check_metric
from zoo.testing.subjects import parametrize_with_checks

__all__ = [
    "CheckFailed",
    "check_architecture",
    "check_augmentation",
    "check_dataset",
    "check_metric",
    "parametrize_with_checks",
]
