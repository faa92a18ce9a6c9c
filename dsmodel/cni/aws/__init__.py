"""AWS VPC CNI: limits and warm targets, placement in a subnet, and what a live node says.

Sources: aws/amazon-vpc-cni-k8s; every module names its files.
"""

from __future__ import annotations

from dsmodel.cni.aws.limits import Interfaces, WarmTargets, max_pods, prefix_chance
from dsmodel.cni.aws.live import read_checkpoint, read_interfaces
from dsmodel.cni.aws.plugin import COOLDOWN_SECONDS, PROVENANCE, AwsVpcCni

__all__ = [
    "COOLDOWN_SECONDS",
    "PROVENANCE",
    "AwsVpcCni",
    "Interfaces",
    "WarmTargets",
    "max_pods",
    "prefix_chance",
    "read_checkpoint",
    "read_interfaces",
]
