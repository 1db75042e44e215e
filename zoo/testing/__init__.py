"""The conformance kit: whether a plugin's functions keep zoo's contract.

Written for a plugin's own tests:

    from zoo.testing import check_architecture

    def test_resnet():
        check_architecture(resnet)

Each check raises `CheckFailed`, which says what was checked, what was expected, what came, and with
which parameters.
"""

from zoo.testing._failure import CheckFailed
from zoo.testing.architectures import check_architecture
from zoo.testing.augmentations import check_augmentation
from zoo.testing.datasets import check_dataset

__all__ = ["CheckFailed", "check_architecture", "check_augmentation", "check_dataset"]
