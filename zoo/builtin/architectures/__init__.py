"""The architectures that zoo ships: a searched network, networks of textbooks, and pretrained networks.

A study searches every parameter of `conv_net`. It trains the others as published, and searches only those
parameters for which the study file has a table.
"""

from __future__ import annotations

from typing import Any

from zoo import hookimpl
from zoo.builtin.architectures._networks import NETWORKS, conv_net, perceptron, typical_conv_net
from zoo.builtin.architectures._pretrained import pretrained

__all__ = ["conv_net", "perceptron", "pretrained", "register_architectures", "typical_conv_net"]


@hookimpl
def register_architectures(register: Any) -> None:
    for network in (conv_net, *NETWORKS, pretrained):
        register(network)
