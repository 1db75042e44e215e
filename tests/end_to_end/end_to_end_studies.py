"""Studies that take seconds, as texts."""

from __future__ import annotations

# One trial takes a second or two.
TINY = """
dataset = "digits"
[validation]
fraction = 0.2
[architecture]
name = "conv_net"
filters = [8]
convolutions_per_block = 1
kernel_size = 3
padding = "same"
activation = "relu"
pool_size = 2
batch_norm = false
dense_units = []
dropout = { low = 0.0, high = 0.5 }
[training]
epochs = 2
batch_size = 64
optimizer = "adam"
learning_rate = { low = 1e-3, high = 3e-2, log = true }
schedule = "constant"
[search]
trials = 2
sampler = "random"
pruner = "none"
"""

_ARCHITECTURE = TINY[TINY.index("[architecture]") : TINY.index("[training]")]

# Its trials wait before an epoch that `GATE_FILE` does not allow, and so cannot end before they are killed.
GATED = (
    TINY.replace(_ARCHITECTURE, "")
    .replace("[validation]", 'architecture = "gated"\n[validation]')
    .replace("epochs = 2", "epochs = 3")
    .replace("trials = 2", "trials = 3")
)

FAULTY = """
dataset = "digits"
[architecture]
name = "faulty"
units = 8
how = { choices = ["fine", "impossible", "raises", "vanishes", "segfaults", "nan"] }
[training]
epochs = 1
batch_size = 64
optimizer = "adam"
learning_rate = 0.01
schedule = "constant"
[search]
trials = 50
sampler = "grid"
pruner = "none"
seed = 0  # with this seed, three trials in a row never fail
"""

FOLDED = (
    TINY.replace(_ARCHITECTURE, "")
    .replace("[validation]\nfraction = 0.2", 'architecture = "gated"\n[validation]\nfolds = 3')
    .replace('pruner = "none"', 'pruner = "median"')
)

SEVERAL = """
dataset = "digits"
objective = ["val_accuracy", "parameters", "latency_ms"]
[validation]
fraction = 0.2
[architecture]
name = { choices = ["conv_net", "faulty"] }
[architecture.conv_net]
filters = { low = 8, high = 32, length = [1, 2] }
convolutions_per_block = 1
kernel_size = 3
padding = "same"
activation = "relu"
pool_size = 2
batch_norm = false
dense_units = []
[architecture.faulty]
how = "fine"
units = { low = 4, high = 32 }
[augmentation]
name = { choices = ["none", "affine"] }
[augmentation.affine]
rotation = { high = 15.0 }
[training]
epochs = 1
batch_size = 64
optimizer = "adam"
learning_rate = 0.01
schedule = "constant"
[search]
trials = 7
max_parameters = 3000
seed = 0
"""
