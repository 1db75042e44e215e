"""Which subject a kind of plugin function is checked as. The package's `__init__` has the checks declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.testing._networks import Network
from zoo.testing._policies import Policy
from zoo.testing.datasets import Data

SUBJECTS: Mapping[str, Any] = {"dataset": Data, "architecture": Network, "augmentation": Policy}
