"""`dsmodel trace`: a dump, a pod and a destination in; hops, forms and exit codes for CI out."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from dsmodel.cli import JSON_SCHEMA, main

if TYPE_CHECKING:
    from pathlib import Path

CALICO = "crd.projectcalico.org/v1"
SAID = ("--default-route", "both", "--nat", "198.51.100.9", "--routed", "none", "--nat64", "none")
SERVER = "2001:4860::8888"


def node(name: str, number: int) -> dict[str, Any]:
    addresses = [{"type": "InternalIP", "address": text} for text in (f"10.0.0.{number}", f"2600:1f00::{number}")]
    cidrs = [f"10.244.{number}.0/24", f"fd00:10:244:{number}::/64"]
    spec = {"podCIDR": cidrs[0], "podCIDRs": cidrs}
    return {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name}, "spec": spec, "status": {"addresses": addresses}}  # fmt: skip  # noqa: E501


def pod(name: str, host: str, number: int) -> dict[str, Any]:
    texts = [f"10.244.{number}.5", f"fd00:10:244:{number}::5"]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"nodeName": host, "containers": []},
        "status": {"phase": "Running", "podIP": texts[0], "podIPs": [{"ip": text} for text in texts]},
    }


def custom(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "apiVersion": CALICO, "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """Two nodes with Calico's default pools: IPv4 is masqueraded, IPv6 is not."""
    agent = {"name": "calico-node", "image": "calico-node:v3"}
    daemon = {
        "kind": "DaemonSet",
        "apiVersion": "apps/v1",
        "metadata": {"name": "calico-node", "namespace": "kube-system"},
        "spec": {"template": {"spec": {"containers": [agent]}}},
    }
    items = [
        *(node("a", 1), node("b", 2), pod("cart", "a", 1), pod("web", "b", 2), daemon),
        custom("IPPool", "default-ipv4", cidr="10.244.0.0/16", natOutgoing=True),
        custom("IPPool", "default-ipv6", cidr="fd00:10:244::/56", natOutgoing=False),
        custom("FelixConfiguration", "default"),
    ]
    file = tmp_path / "dump.json"
    file.write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": items}))
    return file


def run(*arguments: object):
    return CliRunner().invoke(main, ["trace", *map(str, arguments)])


def test_what_a_family_that_works_looks_like(dump: Path) -> None:
    result = run(dump, "shop/cart", "8.8.8.8", *SAID)
    assert result.exit_code == 0, result.output
    assert "IPv4: ok_snat" in result.output
    assert "198.51.100.9" in result.output
    assert "Nobody said" not in result.output


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        ((), 1, "a ULA leaves as it is and nothing comes back"),
        (("--routed", "fd00:10:244::/56"), 0, "routers outside send answers back"),
        (("--routed", "fd00:10:244::/56", "--down", "Node/a"), 1, "the pod's node is down"),
        (("--routed", "fd00:10:244::/56", "--require-family", "IPv4"), 1, "the server has no IPv4 address"),
        (("--routed", "fd00:10:244::/56", "--require-family", "IPv6"), 0, "IPv6 is all that is required"),
    ],
)
def test_exit_codes_follow_the_families(dump: Path, options: tuple[str, ...], code: int, reason: str) -> None:
    said = SAID if "--routed" not in options else ("--default-route", "both", "--nat", "none", "--nat64", "none")
    result = run(dump, "shop/cart", "fd99::1", *said, *options)
    assert result.exit_code == code, f"{reason}\n{result.output}"


def test_a_name_has_its_addresses_and_says_which_is_tried_first(dump: Path) -> None:
    servers = ("--address", "8.8.8.8", "--address", SERVER)
    found = json.loads(run(dump, "shop/cart", "api.example", *servers, *SAID, "--format", "json").output)
    assert (found["schema"], found["sources"], found["destination"]) == (JSON_SCHEMA, ["dump.json"], "api.example")
    assert {family: each["works"] for family, each in found["families"].items()} == {"IPv4": True, "IPv6": False}
    assert found["order"].startswith("8.8.8.8 first, by rule 5")
    assert found["unknown"] == []
    assert run(dump, "shop/cart", "api.example", *servers, *SAID, "--require-family", "IPv6").exit_code == 1


def test_another_policy_table_may_put_the_other_family_first(dump: Path) -> None:
    servers = ("--address", "10.96.0.10", "--address", "fd00:10:96::a", "--format", "json")
    for table, first in (("rfc6724", "10.96.0.10"), ("glibc", "fd00:10:96::a")):
        found = json.loads(run(dump, "shop/cart", "vip", *servers, *SAID, "--policy-table", table).output)
        assert found["order"].startswith(first), table
    result = run(dump, "shop/cart", "vip", *servers, "--policy-table", "nscd")
    assert result.exit_code == 2
    assert "--policy-table nscd: allowed are" in result.stderr


def test_what_nobody_said_is_not_guessed(dump: Path) -> None:
    result = run(dump, "shop/cart", SERVER)
    assert result.exit_code == 1
    words = " ".join(result.output.split())
    assert "unknown because nobody said whether nodes have an IPv6 default route" in words
    assert "Say it with --default-route, --nat, --routed, --nat64." in words
    assert all(len(line) <= 100 for line in result.output.splitlines() if not line.startswith(" "))


def test_json_and_csv_hold_the_same_rows(dump: Path) -> None:
    found = json.loads(run(dump, "shop/cart", "8.8.8.8", *SAID, "--format", "json").output)
    rows = list(csv.DictReader(io.StringIO(run(dump, "shop/cart", "8.8.8.8", *SAID, "--format", "csv").output)))
    assert rows == [{key: str(value) for key, value in row.items()} for row in found["trace"]]


def test_the_page_is_whole_and_escaped(dump: Path, tmp_path: Path) -> None:
    page = tmp_path / "made" / "trace.html"
    options = ("--address", "8.8.8.8", "--format", "html", "-o", page)
    result = run(dump, "shop/cart", "<script>", *options, *SAID)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "wrote" in result.stderr
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert "<script" not in text
    open_tags: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002 - the parser's signature
            if tag != "meta":
                open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Tags().feed(text)
    assert open_tags == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("shop/none", "internet"), "pod 'shop/none' is not in the cluster"),
        (("shop/cart", "nowhere"), "'nowhere' is no address"),
        (("shop/cart", "internet", "--routed", "10.0.0.0"), "10.0.0.0"),
        (("shop/cart", "internet", "--nat64", "64:ff9b::/95"), "RFC 6052"),
        (("shop/cart", "internet", "--port", "0"), "--port"),
        (("shop/cart", "internet", "--down", "Node/aa"), "nothing is called 'Node/aa'; did you mean Node/a"),
    ],
)
def test_what_is_wrong_is_named(dump: Path, arguments: tuple[str, ...], words: str) -> None:
    result = run(dump, *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_dump_in_several_files(dump: Path, tmp_path: Path) -> None:
    document = json.loads(dump.read_text())
    parts = []
    for number, items in enumerate((document["items"][:2], document["items"][2:])):
        part = tmp_path / f"part-{number}.json"
        part.write_text(json.dumps({**document, "items": items}))
        parts.append(part)
    assert run(*parts, "shop/cart", "8.8.8.8", *SAID).output == run(dump, "shop/cart", "8.8.8.8", *SAID).output
