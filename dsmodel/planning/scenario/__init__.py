"""Demand over time: what joins, starts and goes, day by day.

Promises frozen values built from numbers, from a frame or from history, and nothing about a cluster: what demand takes
is worked out where a cluster is at hand. Dates are arguments; no clock is read.
"""

from dsmodel.planning.scenario.demands import KINDS, Ceiling, Demand, Scenario
from dsmodel.planning.scenario.fitting import Fit, fit
from dsmodel.planning.scenario.growth import Burst, Growth, Step

__all__ = ["KINDS", "Burst", "Ceiling", "Demand", "Fit", "Growth", "Scenario", "Step", "fit"]
