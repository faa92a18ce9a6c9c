"""A server's range API: a real Prometheus end to end, and servers that misbehave."""

import json
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest
from click.testing import CliRunner
from local_servers import free_port, serving

from dsmodel.cli import main
from dsmodel.errors import DsmodelError, InvalidInput, Unreachable
from dsmodel.io.history import Prometheus, append_history, read_history
from dsmodel.io.samples import sample_path
from dsmodel.planning.scenario import fit

SPAN = {"start": "2026-01-01", "end": "2026-01-20"}
BEGIN, DAY, HOUR = 1767225600, 86400, 3600  # 2026-01-01

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="the Debian package prometheus (prometheus and promtool) is not installed",
)


def exposition():
    """Twenty days, every six hours: two API servers, node IPAM that restarts, Calico over two nodes."""
    lines = {}

    def add(name, labels, place, value):
        lines.setdefault(name, []).append((labels, BEGIN + place * 6 * HOUR, value))

    for place in range(80):
        day, is_noon = place // 4, place % 4 == 2
        for instance, lag in (("a", 0), ("b", 1)):
            used = 20 + 3 * day + (2 if is_noon else 0) - lag
            for cidr in ("10.96.0.0/24", "fd00:10:96::/120"):
                where = f'{{cidr="{cidr}",instance="{instance}"}}'
                add("kube_apiserver_clusterip_allocator_allocated_ips", where, place, used)
                add("kube_apiserver_clusterip_allocator_available_ips", where, place, 254 - used)
            add("kube_apiserver_nodeport_allocator_allocated_ports", f'{{instance="{instance}"}}', place, 5 + day)
        used, opened, released = 10 + day, 10 + 2 * day, day
        if day >= 10:  # restarted: nodes found at the start are counted, nothing has been released
            opened, released = 10 + day + 2 * (day - 10), 2 * (day - 10)
        cluster_cidr = '{clusterCIDR="10.244.0.0/18"}'
        add("node_ipam_controller_cidrset_usage_cidrs", cluster_cidr, place, used / 64)
        add("node_ipam_controller_cidrset_cidrs_allocations_total", cluster_cidr, place, opened)
        add("node_ipam_controller_cidrset_cidrs_releases_total", cluster_cidr, place, released)
        for node in "xy":
            add("ipam_allocations_in_use", f'{{ippool="default-ipv4-ippool",node="{node}"}}', place, 50 + 4 * day)
        add("ipam_ippool_size", '{ippool="default-ipv4-ippool"}', place, 65536)
        add("apiserver_resource_objects", '{group="",resource="pods"}', place, 300 + 8 * day)
        add("apiserver_resource_objects", '{group="apps",resource="pods"}', place, 9999)
    text = []
    for name, samples in sorted(lines.items()):
        family = name.removesuffix("_total")
        text.append(f"# TYPE {family} {'counter' if name.endswith('_total') else 'gauge'}")
        text += [f"{name}{labels} {value} {when}" for labels, when, value in sorted(samples)]
    return "\n".join([*text, "# EOF", ""])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "history.om").write_text(exposition())
    (folder / "prometheus.yml").write_text("global: {}\n")
    subprocess.run(
        [shutil.which("promtool"), "tsdb", "create-blocks-from", "openmetrics", "history.om", "data"],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=120,
    )

    def command(port):
        return [
            "prometheus",
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{port}",
        ]

    with serving(command, "http://127.0.0.1:{port}/-/ready", folder) as url:
        yield url.removesuffix("/-/ready")


@needs_prometheus
def test_a_real_server_is_read_end_to_end(server) -> None:
    history = read_history(server, **SPAN)
    day = history["time"] == pd.Timestamp("2026-01-06", tz="UTC")
    rows = history.loc[day, ["metric", "ip_family", "range", "used", "usable", "source"]]
    assert rows.astype("object").where(rows.notna(), None).to_numpy().tolist() == [
        ["node blocks", "IPv4", "10.244.0.0/18", 15, 64, "kube-controller-manager"],
        ["node ports", "", "", 10, None, "kube-apiserver"],
        ["pod addresses", "IPv4", "default-ipv4-ippool", 140, 65536, "calico-kube-controllers"],
        ["service addresses", "IPv4", "10.96.0.0/24", 37, 254, "kube-apiserver"],
        ["service addresses", "IPv6", "fd00:10:96::/120", 37, 254, "kube-apiserver"],
        ["stored pods", "", "", 340, None, "kube-apiserver"],
    ]
    assert set(history.groupby(["metric", "ip_family"])["time"].nunique()) == {20}
    resets = [each for each in history.attrs["findings"] if each["rule"] == "history-counter-reset"]
    assert {each["object"] for each in resets} == {"node blocks, 10.244.0.0/18"}
    assert "first 2026-01-11 00:00" in resets[0]["message"]
    apart = [each for each in history.attrs["findings"] if each["rule"] == "history-servers-differ"]
    assert [each["object"] for each in apart] == [
        "service addresses, 10.96.0.0/24",
        "service addresses, fd00:10:96::/120",
    ]
    assert apart[0]["message"].startswith("servers differ by up to 1,")
    assert apart[0]["message"].endswith("first 2026-01-01 00:00")


@needs_prometheus
def test_a_real_server_feeds_a_fit_and_a_dataset(server, tmp_path) -> None:
    history = read_history(server, **SPAN)
    rates = fit(history).rates.set_index(["metric", "ip_family"])["per_day"]
    assert rates.round(9).to_dict() == {
        ("node blocks", "IPv4"): 1.0,
        ("node ports", ""): 1.0,
        ("pod addresses", "IPv4"): 8.0,
        ("stored pods", ""): 8.0,
        ("service addresses", "IPv4"): 3.0,
        ("service addresses", "IPv6"): 3.0,
    }
    append_history(history, tmp_path)
    assert read_history(tmp_path).equals(history)


@needs_prometheus
def test_a_real_server_gives_the_same_as_the_text_it_was_filled_from(server, tmp_path) -> None:
    path = tmp_path / "history.om"
    path.write_text(exposition())
    text, asked = read_history(path), read_history(server, **SPAN, step="6h")
    assert asked.equals(text)


@needs_prometheus
def test_a_real_server_takes_matchers_and_refuses_nonsense(server) -> None:
    history = read_history(Prometheus(server, matchers='instance="b"'), **SPAN)
    assert history["metric"].unique().tolist() == ["node ports", "service addresses"]
    first = history[history["metric"] == "service addresses"].iloc[0]
    assert (first["used"], first["usable"]) == (21, 254)
    with pytest.raises(InvalidInput, match=r"HTTP 400: .*parse error"):
        read_history(Prometheus(server, matchers="instance=b"), **SPAN)
    with pytest.raises(InvalidInput, match="from 2020-01-01 00:00 to 2020-01-03 00:00: has no value of a metric"):
        read_history(server, start="2020-01-01", end="2020-01-02")
    with pytest.raises(Unreachable, match="HTTP 404"):
        read_history(f"{server}/elsewhere", **SPAN)


@needs_prometheus
def test_a_real_server_is_asked_from_a_terminal(server, tmp_path) -> None:
    headers = tmp_path / "headers"
    headers.write_text("Authorization: Bearer secret\n")
    span = ("--from", SPAN["start"], "--to", SPAN["end"], "--headers", str(headers))
    kept = CliRunner().invoke(main, ["history", "append", server, str(tmp_path / "kept"), *span])
    assert kept.exit_code == 0, kept.output
    assert "info: node blocks, 10.244.0.0/18: node_ipam_controller_cidrset_cidrs_allocations_total went" in kept.stderr
    assert read_history(tmp_path / "kept").equals(read_history(server, **SPAN))
    asked = ["--history", server, "--history-from", SPAN["start"], "--history-to", SPAN["end"]]
    more = ["--horizon", "90d", "--trajectories", "20", "--format", "json"]
    answer = CliRunner().invoke(main, ["forecast", str(sample_path("nearly-full")), *asked, *more])
    document = json.loads(answer.stdout)
    assert document["start"] == "2026-01-20"
    assert "pods 8 a day" in document["assumptions"]
    assert "services 3 a day" in document["assumptions"]


@needs_prometheus
def test_a_real_server_is_asked_in_as_many_questions_as_it_needs(server) -> None:
    whole = read_history(server, **SPAN, step="1m")
    counts = whole.groupby(["metric", "ip_family"])["time"].nunique()
    assert counts[["node ports", "service addresses", "stored pods"]].tolist() == [80, 80, 80, 80]


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        code, headers, body = self.server.answer
        if code == 0:
            time.sleep(1.5)
            return
        self.send_response(code)
        for pair in headers:
            self.send_header(*pair)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


@contextmanager
def answering(code, body=b"", headers=()):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    server.answer, server.seen = (code, headers, body), []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def matrix(*series, **more):
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}, **more}).encode()


@pytest.mark.parametrize(
    ("code", "body", "error", "message"),
    [
        (200, b"<html>hello</html>", Unreachable, "its answer is no JSON"),
        (200, b"{}", Unreachable, "its answer has no data"),
        (200, b"[]", Unreachable, "its answer has no data"),
        (200, b'{"data": {"resultType": "vector", "result": []}}', Unreachable, "gives a vector for a range"),
        (302, b"", Unreachable, "leads elsewhere"),
        (401, b"", Unreachable, "HTTP 401: not allowed; give headers="),
        (403, b'{"error": "no tenant"}', Unreachable, "no tenant; give headers="),
        (422, b'{"error": "too many samples"}', InvalidInput, "too many samples"),
        (503, b"<h1>busy</h1>", Unreachable, "HTTP 503: <h1>busy</h1>"),
        (0, b"", Unreachable, r"no answer within 0\.5 seconds"),
        (200, matrix(), InvalidInput, "has no value of a metric that tells of pools"),
    ],
)
def test_servers_that_misbehave_are_named(code, body, error, message) -> None:
    headers = [("Location", "http://elsewhere.example/")] if code == 302 else []
    with answering(code, body, headers) as (url, _), pytest.raises(error, match=message):
        read_history(Prometheus(url, timeout_seconds=0.5), **SPAN)


def test_an_unreachable_server_is_a_named_error() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable, match=rf"{url}: Connection refused; check that the server runs"):
        read_history(url, **SPAN)
    with pytest.raises(DsmodelError, match="check that the server runs"):
        read_history("http://no-such-host.invalid", **SPAN)


def test_no_proxy_of_the_environment_is_used_and_headers_are_sent_and_not_shown(monkeypatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    labels = {"cidr": "10.96.0.0/24"}
    body = matrix({"metric": labels, "values": [[BEGIN + DAY - 0.001, "7"]]}, warnings=["a store is away"])
    with answering(200, body) as (url, seen):
        server = Prometheus(url, headers={"Authorization": "Bearer secret"})
        history = read_history(server, start="2026-01-01", end="2026-01-01")
    assert "secret" not in repr(server)
    assert {headers["Authorization"] for _, headers in seen} == {"Bearer secret"}
    assert all(path.startswith("/api/v1/query_range?query=") for path, _ in seen)
    assert pd.Timestamp("2026-01-01", tz="UTC") == history["time"].iloc[0]
    assert ("history-server", "a store is away") in {
        (each["rule"], each["message"]) for each in history.attrs["findings"]
    }


def test_a_proxy_that_is_given_is_used() -> None:
    with answering(200, matrix()) as (url, seen), pytest.raises(InvalidInput, match="has no value"):
        read_history(Prometheus("http://prometheus.example:9090", proxy=url), **SPAN)
    assert seen[0][0].startswith("http://prometheus.example:9090/api/v1/query_range")


def test_several_clusters_are_refused() -> None:
    series = [{"metric": {"cluster": name, "cidr": "x"}, "values": [[BEGIN + DAY - 0.001, "7"]]} for name in "ab"]
    with answering(200, matrix(*series)) as (url, _), pytest.raises(InvalidInput, match=r"holds 2 clusters \(a, b\)"):
        read_history(url, **SPAN)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "prometheus:9090"}, "needs one such as"),
        ({"url": "ftp://prometheus"}, "needs one such as"),
        ({"url": "http://prometheus:port"}, "needs one such as"),
        ({"url": "http://user:word@prometheus"}, "holds a user or password"),
        ({"url": "http://prometheus/graph?g0.expr=up"}, "holds a query"),
        ({"url": "http://prometheus", "timeout_seconds": 0}, "needs more than 0"),
    ],
)
def test_servers_that_are_none(arguments, message) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        Prometheus(**arguments)
    assert "word@" not in str(caught.value)


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ({}, "give start= and end="),
        ({"start": "2026-01-01"}, "give start= and end="),
        ({"start": "2026-01-02", "end": "2026-01-01"}, "is before start"),
        ({**SPAN, "step": "soon"}, "step='soon': needs a span"),
        ({**SPAN, "step": "1ms"}, "needs a span of whole seconds"),
        ({**SPAN, "step": "1500ms"}, "needs a span of whole seconds"),
        ({"start": 5, "end": 6}, "start=5: needs a time"),
    ],
)
def test_spans_that_are_none(span, message) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_history(Prometheus("http://127.0.0.1:9"), **span)
