"""History of pools: read from dumps, metrics, files and a Prometheus server; kept as Parquet, one append a day.

Whatever the source, `read_history` gives one tidy frame, which `dsmodel.planning.scenario.fit` takes as it is, and
names in ``frame.attrs["findings"]`` what it had to decide.
"""

from dsmodel.io.history.datasets import append_history
from dsmodel.io.history.prometheus import Prometheus
from dsmodel.io.history.reading import read_history

__all__ = ["Prometheus", "append_history", "read_history"]
