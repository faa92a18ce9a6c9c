"""Grids of scenarios to one tidy frame, on whatever engine is at hand.

Promises the same numbers whatever the engine and the number of workers: what is random in a scenario is seeded by the
scenario itself. A scenario that fails is a row that says why; what is computed is kept, and not computed again.
"""

from dsmodel.planning.sweeps.engines import ENGINES
from dsmodel.planning.sweeps.growth import GrowthPlan
from dsmodel.planning.sweeps.runs import SweepInterrupted, sweep

__all__ = ["ENGINES", "GrowthPlan", "SweepInterrupted", "sweep"]
