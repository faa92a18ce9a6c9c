"""What a place is told by, dumps over time, and places that hold nothing."""

import gzip
import json
import shutil

import numpy as np
import pandas as pd
import pytest

import dsmodel as ds
from dsmodel.errors import InvalidDump, InvalidInput
from dsmodel.io.history import append_history, read_history
from dsmodel.io.samples import sample_path
from dsmodel.planning.scenario import fit


def dump(nodes, stamp="2026-01-01T06:00:00Z"):
    """A dump of some nodes, of which the last one's kubelet was seen at a time."""
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": f"node-{number}",
                    "creationTimestamp": "2025-06-01T00:00:00Z",
                    "annotations": {"valid-until": "2031-01-01T00:00:00Z"},
                },
                "spec": {"podCIDRs": [f"10.244.{number}.0/24"], "podCIDR": f"10.244.{number}.0/24"},
                "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": stamp}]},
            }
            for number in range(nodes)
        ],
    }


def folder_of_dumps(folder, days):
    for day in range(1, days + 1):
        text = json.dumps(dump(2 + 2 * day, f"2026-01-{day:02d}T06:00:00Z"), indent=4)
        if day % 2:
            with gzip.open(folder / f"{day:02d}.json.gz", "wt") as file:
                file.write(text)
        else:
            (folder / f"{day:02d}").mkdir()
            (folder / f"{day:02d}" / "nodes.json").write_text(text)


def nodes_of(history):
    return history.loc[history["metric"] == "nodes", ["time", "value"]].astype(str).to_numpy().tolist()


def test_a_folder_of_dumps_dates_itself_and_is_fitted(tmp_path) -> None:
    folder_of_dumps(tmp_path, 9)
    history = read_history(tmp_path)
    assert nodes_of(history)[:2] == [["2026-01-01 06:00:00+00:00", "4.0"], ["2026-01-02 06:00:00+00:00", "6.0"]]
    rates = fit(history).rates
    assert rates.loc[rates["is_used"] & (rates["kind"] == "nodes"), "per_day"].tolist() == [2.0]
    assert history.attrs["findings"] == []


def test_dumps_of_a_mapping_are_of_the_stated_time(tmp_path) -> None:
    path, parts = tmp_path / "a.json", [tmp_path / "b.json", tmp_path / "c.json"]
    path.write_text(json.dumps(dump(3)))
    first, second = dump(5), dump(5)
    first["items"], second["items"] = first["items"][:2], second["items"][2:]
    for part, content in zip(parts, (first, second), strict=True):
        part.write_text(json.dumps(content))
    history = read_history({"2026-02-02T12:00+01:00": parts, "2026-02-01": path})
    assert nodes_of(history) == [["2026-02-01 00:00:00+00:00", "3.0"], ["2026-02-02 11:00:00+00:00", "5.0"]]


def test_a_dump_newer_than_stated_is_a_wrong_clock(tmp_path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(dump(3)))
    assert read_history({"2026-01-01": path}).attrs["findings"] == []
    (finding,) = read_history({"2025-12-01": path}).attrs["findings"]
    assert (finding["severity"], finding["rule"]) == ("warning", "history-clock-jump")
    assert "said to be of 2025-12-01 00:00, but an object names 2026-01-01 06:00" in finding["message"]


def test_pools_of_a_dump_are_those_of_the_report() -> None:
    cluster = ds.read_cluster(sample_path("dual-stack-shop"))
    history = read_history({"2026-12-01": sample_path("dual-stack-shop")})
    pools = history[history["range"] != ""]
    report = ds.reports.utilization(cluster).sort_values(["pool", "ip_family"], ignore_index=True)
    for column in ("pool", "ip_family", "range", "usable", "used"):
        assert pools[column].tolist() == report[column].tolist(), column
    whole = (history["range"] == "") & (history["node_pool"] == "") & (history["zone"] == "")
    objects = history[whole].set_index("metric")["value"].to_dict()
    assert objects == {"load balancers": 8, "nodes": 42, "pods": 861, "services": 74}


def test_parts_of_a_dump_add_up_to_its_totals() -> None:
    cluster = ds.read_cluster(sample_path("dual-stack-shop"))
    history = read_history({"2026-12-01": sample_path("dual-stack-shop")})
    parts = history[history["zone"] != ""]
    assert parts.groupby("metric")["value"].sum().to_dict() == {"nodes": 42, "pods": 861}
    zones, counts = np.unique(cluster.nodes["zone"], return_counts=True)
    by_zone = parts[parts["metric"] == "nodes"].groupby("zone")["value"].sum()
    assert by_zone.to_dict() == dict(zip(zones.tolist(), counts.tolist(), strict=True))


def test_tables_and_mixtures_of_places(tmp_path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("time,metric,value,zone\n2026-01-02,pods,12,\n2026-01-01,pods,10,\n")
    append_history(pd.DataFrame({"time": ["2026-01-03"], "pool": "pods", "used": [13]}), tmp_path / "kept")
    history = read_history([table, tmp_path / "kept"])
    assert history["value"].tolist() == [10, 12, 13]
    assert read_history([table], start="2026-01-02")["value"].tolist() == [12]
    assert read_history(table, end="2026-01-01")["value"].tolist() == [10]
    assert ds.read_history(str(table)).equals(read_history(table))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is no CSV"),
        ("a.csv", b"day,count\n1,2\n", "needs columns time"),
        ("a.csv", b"time,metric,value\nsoon,pods,1\n", "row 1: time='soon'"),
        ("a.om", b"# EOF\n", "has no value of a metric"),
        ("a.prom", b"# TYPE x gauge\n\xff\xfe", "cannot be read"),
        ("a.prom.gz", gzip.compress(b"# TYPE x gauge\n" * 9999, mtime=0)[:60], "a.prom.gz: cannot be read"),
        ("a.json", b'{"kind": "Node", "apiVersion": "v1", "metadata": {"name": "a"}}', "no object names a time"),
        ("a.json", b"", "is empty"),
        ("a.txt", b"hello", "is neither JSON nor YAML"),
    ],
)
def test_what_is_damaged_is_named(tmp_path, name, content, message) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises((InvalidInput, InvalidDump), match=message):
        read_history(path)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([], "no place of history is named"),
        ({}, "no place of history is named"),
        ("nowhere", "nowhere: no such file or folder"),
        (None, "a NoneType is no place of history"),
        ([3], "a int is no place of history"),
        ({"2026-01-01": 3}, "a int is no place of history"),
        ({"soon": "x.json"}, "time of a dump='soon': needs a time"),
        ({1: "x.json"}, "time of a dump=1: needs a time"),
        ({"2026-01-01": "nowhere.json"}, "no such file"),
        (pd.DataFrame({"time": []}), "a DataFrame is no place of history"),
    ],
)
def test_places_that_are_none(places, message) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_history(places)


def test_folders_and_spans_with_nothing(tmp_path) -> None:
    with pytest.raises(InvalidInput, match="the folder holds no history"):
        read_history(tmp_path)
    shutil.copy(sample_path("nearly-full"), tmp_path / "a.json.gz")
    with pytest.raises(InvalidInput, match="nothing lies within start='2030-01-01'"):
        read_history(tmp_path, start="2030-01-01")
    with pytest.raises(InvalidInput, match="is before start"):
        read_history(tmp_path, start="2030-01-01", end="2029-01-01")
