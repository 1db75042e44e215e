"""Studies that take seconds, as texts."""

from __future__ import annotations

_SMALL_NETWORK = """
convolutions_per_block = 1
kernel_size = 3
padding = "same"
activation = "relu"
pool_size = 2
batch_norm = false
dense_units = []
"""

ONE_EPOCH = """
[training]
epochs = 1
batch_size = 64
optimizer = "adam"
learning_rate = 0.01
schedule = "constant"
"""

_TWO_EPOCHS = ONE_EPOCH.replace("epochs = 1", "epochs = 2").replace(
    "learning_rate = 0.01", "learning_rate = { low = 1e-3, high = 3e-2, log = true }"
)

TWO_TRIALS = """
[search]
trials = 2
sampler = "random"
pruner = "none"
"""

# One trial takes a second or two.
TINY = f"""
dataset = "digits"
[validation]
fraction = 0.2
[architecture]
name = "conv_net"
filters = [8]
{_SMALL_NETWORK}
dropout = {{ low = 0.0, high = 0.5 }}
{_TWO_EPOCHS}
{TWO_TRIALS}
"""

# Its trials wait before an epoch that `GATE_FILE` does not allow, and so cannot end before they are killed.
# They have more epochs than any story allows, since a retried trial may continue after those of a checkpoint.
GATED = f"""
dataset = "digits"
architecture = "gated"
validation = {{ fraction = 0.2 }}
{_TWO_EPOCHS.replace("epochs = 2", "epochs = 9")}
{TWO_TRIALS.replace("trials = 2", "trials = 3")}
"""

FOLDED = f"""
dataset = "digits"
architecture = "gated"
validation = {{ folds = 3 }}
{_TWO_EPOCHS}
{TWO_TRIALS.replace('"none"', '"median"')}
"""

FAULTY = f"""
dataset = "digits"
[architecture]
name = "faulty"
units = 8
how = {{ choices = ["fine", "impossible", "raises", "vanishes", "segfaults", "nan"] }}
{ONE_EPOCH}
[search]
trials = 50
sampler = "grid"
pruner = "none"
seed = 0  # with this seed, three trials in a row never fail
"""

SEVERAL = f"""
dataset = "digits"
objective = ["val_accuracy", "parameters", "latency_ms"]
[validation]
fraction = 0.2
[architecture]
name = {{ choices = ["conv_net", "faulty"] }}
[architecture.conv_net]
filters = {{ low = 8, high = 32, length = [1, 2] }}
{_SMALL_NETWORK}
[architecture.faulty]
how = "fine"
units = {{ low = 4, high = 32 }}
[augmentation]
name = {{ choices = ["none", "affine"] }}
[augmentation.affine]
rotation = {{ high = 15.0 }}
{ONE_EPOCH}
[search]
trials = 7
max_parameters = 3000
seed = 0
"""
