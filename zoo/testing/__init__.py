"""The conformance kit: whether a plugin's functions keep zoo's contract.

Written for a plugin's own tests, one test for each check:

    from zoo.testing import parametrize_with_checks

    @parametrize_with_checks(my_net)
    def test_my_net(check):
        check()

or all of them in one: `check_architecture(my_net)`. A check that fails raises `CheckFailed`, which says
which check it was, what was expected, what came, at which parameters, and how to see it again.
"""

from zoo.testing._failure import CheckFailed
from zoo.testing._pytest import parametrize_with_checks
from zoo.testing.architectures import check_architecture
from zoo.testing.augmentations import check_augmentation
from zoo.testing.datasets import check_dataset

__all__ = [
    "CheckFailed",
    "check_architecture",
    "check_augmentation",
    "check_dataset",
    "parametrize_with_checks",
]
