"""Search spaces, read from the signatures of functions.

Standard library only. All bounds are inclusive. The names are those of Optuna (`low`, `high`, `log`,
`step`) and KerasTuner (`Int`, `Float`, `Choice`).

    def conv_net(input_shape, num_classes, *, dropout: Annotated[float, Float(0.0, 0.6)] = 0.25): ...

    space = read_space(conv_net, positional=("input_shape", "num_classes"))
    space.defaults()                 # {"dropout": 0.25}
    space.sample(suggester)          # a value for every parameter; inactive ones keep their default
    space.narrow({"dropout": {"high": 0.4}})
"""

from zoo.space._domains import Choice, Float, Int
from zoo.space._lists import List
from zoo.space._plain import Plain
from zoo.space._signature import read_space
from zoo.space._space import REQUIRED, Domain, Parameter, Setting, Space
from zoo.space._values import Scalar, Suggester, as_tuples, contains, is_int, is_real, show
from zoo.space._variant import variant, variant_defaults
from zoo.space._weights import ClassWeights
