"""When a cluster runs out: demand of a `Scenario` against the pools of a cluster, on many trajectories.

Promises dates with their uncertainty and their cause, by counts or through the real allocators, and a back-test that
says how far to trust them. Sources: the arithmetic of `dsmodel.planning.limits`.
"""

from dsmodel.planning.forecasting.backtests import back_test
from dsmodel.planning.forecasting.results import Exhaustion, Forecast
from dsmodel.planning.forecasting.runs import forecast

__all__ = ["Exhaustion", "Forecast", "back_test", "forecast"]
