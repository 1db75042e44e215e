"""Search spaces: what a parameter may be, read from the signature of the function that takes it.

Standard library only. Bounds are inclusive everywhere. The words are Optuna's (`low`, `high`,
`log`, `step`) and KerasTuner's (`Int`, `Float`, `Choice`).

    def conv_net(input_shape, num_classes, *, dropout: Annotated[float, Float(0.0, 0.6)] = 0.25): ...

    space = read_space(conv_net)
    space.defaults()                 # {"dropout": 0.25}
    space.sample(suggester)          # one value for every parameter, conditions respected
    space.narrow({"dropout": {"high": 0.4}})
"""

from zoo.space._domains import (
    Choice,
    Domain,
    Float,
    Int,
    List,
    Plain,
    Setting,
    Suggester,
    narrow_domain,
)
from zoo.space._signature import read_space
from zoo.space._space import REQUIRED, Parameter, Space
from zoo.space._values import Scalar, is_int, is_real
from zoo.space._variant import variant

__all__ = [
    "REQUIRED",
    "Choice",
    "Domain",
    "Float",
    "Int",
    "List",
    "Parameter",
    "Plain",
    "Scalar",
    "Setting",
    "Space",
    "Suggester",
    "is_int",
    "is_real",
    "narrow_domain",
    "read_space",
    "variant",
]
