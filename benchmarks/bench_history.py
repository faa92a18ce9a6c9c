"""Reading history: OpenMetrics text beside the parser of Prometheus' own client, daily appends beside CSV in pandas."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from measure import Row, race
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from dsmodel.io.history import append_history, read_history
from dsmodel.io.history.exposition import read_exposition

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGIN = 1_767_225_600  # 2026-01-01
_USED, _FREE = (f"kube_apiserver_clusterip_allocator_{word}_ips" for word in ("allocated", "available"))
_CALICO = "ipam_allocations_in_use"


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows of metrics as text and of a dataset of appends."""
    yield _metrics(days=30 if quick else 365)
    yield _appends(days=90 if quick else 1_095)


def exposition(days: int) -> str:
    """Write what `promtool tsdb dump-openmetrics` gives: three API servers and Calico on 20 nodes, every six hours."""
    lines = []
    for name in (_USED, _FREE, _CALICO):
        lines.append(f"# TYPE {name} gauge")
        series = (
            [f'ippool="default-ipv4-ippool",node="node-{node}"' for node in range(20)]
            if name == _CALICO
            else [f'cidr="{cidr}",instance="{each}"' for cidr in ("10.96.0.0/16", "fd00:96::/112") for each in "abc"]
        )
        for labels in series:
            for place in range(4 * days):
                used = 1_000 + place // 4 + (place % 4 == 2)
                lines.append(f"{name}{{{labels}}} {used if name != _FREE else 65_534 - used} {BEGIN + 21_600 * place}")
    return "\n".join([*lines, "# EOF", ""])


def _metrics(days: int) -> Row:
    """Race the text against the parser of prometheus_client, with the sums and the largest answers in pandas."""
    text = exposition(days)
    samples = text.count("\n") - 4

    def ours() -> list[float]:
        table, _ = read_exposition(text, "history.om")
        return _sorted(table)

    def peer() -> list[float]:
        found = [
            (sample.timestamp, sample.name, sample.labels.get("cidr", ""), sample.labels.get("node", ""), sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]
        frame = pd.DataFrame(found, columns=["time", "name", "cidr", "node", "value"])
        frame = frame.astype({"time": float})
        used = frame[frame["name"] == _USED].groupby(["time", "cidr"])["value"].max()
        pods = frame[frame["name"] == _CALICO].groupby(["time", "node"])["value"].max().groupby("time").sum()
        return np.sort(np.concatenate([used.to_numpy(), pods.to_numpy()])).tolist()

    measured = race(ours, {"prometheus_client": peer}, items=samples, rounds=3)
    return Row(
        "OpenMetrics to observations",
        f"{samples:,} samples",
        measured.own_ns,
        measured.peers,
        {"prometheus_client": 3.0},
    )


def _sorted(table: pd.DataFrame) -> list[float]:
    """Give what is in use, whatever the order."""
    return np.sort(table["used"].to_numpy(np.float64)).tolist()


def _appends(days: int) -> Row:
    """Race a dataset of daily appends against a folder of daily CSV files in pandas, one frame out of either."""
    with tempfile.TemporaryDirectory() as folder:
        kept, plain = Path(folder) / "kept", Path(folder) / "plain"
        plain.mkdir()
        for day, time in enumerate(pd.date_range("2023-01-01", periods=days)):
            names = [f"pool-{number}" for number in range(20)]
            frame = pd.DataFrame({"time": time, "metric": names, "value": np.arange(20) + day})
            append_history(frame, kept)
            frame.to_csv(plain / f"{time:%Y-%m-%d}.csv", index=False)

        def ours() -> list[float]:
            return np.sort(read_history(kept)["value"].to_numpy()).tolist()

        def peer() -> list[float]:
            frames = [pd.read_csv(path, parse_dates=["time"]) for path in sorted(plain.glob("*.csv"))]
            return np.sort(pd.concat(frames)["value"].to_numpy(np.float64)).tolist()

        measured = race(ours, {"pandas.read_csv": peer}, items=days, rounds=3)
    return Row("read daily appends", f"{days:,} days", measured.own_ns, measured.peers, {"pandas.read_csv": 1.0})
