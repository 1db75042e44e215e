"""A small study with conditional parameters, and what goes with it."""

from __future__ import annotations

DIGEST = "d" * 64
MANIFEST = {"dataset": {"digest": DIGEST}}

STUDY = """
dataset = "digits"

[architecture]
name = "conv_net"
filters = { choices = [8, 16], length = [1, 2] }
convolutions_per_block = 1
kernel_size = 3
padding = "same"
activation = "relu"
pool_size = 2
batch_norm = false
dense_units = []
dropout = { low = 0.0, high = 0.5 }

[training]
epochs = 3
batch_size = 32
optimizer = { choices = ["adam", "sgd"] }
learning_rate = { low = 1e-3, high = 1e-1, log = true }
momentum = { low = 0.5, high = 0.9 }
schedule = "constant"

[search]
trials = 6
sampler = "random"
pruner = "none"
"""
