"""The dashboard as a planner meets it: a real server, a real browser, controls moved, answers read from the page."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from dump_texts import component, node, pod, service
from local_servers import dashboard, serving

import dsmodel as ds
from dsmodel.io.samples import sample_path

TABS = {
    "capacity": "What runs out first?",
    "policy": "What does the API server make of this Service?",
    "exhaustion": "What is refused first?",
    "address map": "What lies where?",
    "egress": "How does this pod leave?",
    "plan": "Which ranges hold this cluster?",
}
READY, ANSWERED = 60_000, 20_000  # milliseconds a busy machine may take


def large_dump(path: Path) -> Path:
    """A cluster of 5,000 nodes as kubectl prints it."""
    cluster = ds.examples.synthetic(nodes=5000, pods=20_000, services=200, rng=np.random.default_rng(1))
    nodes, pods = cluster.nodes.to_frame(), cluster.pods.to_frame()
    cidrs = ",".join(map(str, cluster.config.cluster_cidrs))
    items = [component("kube-controller-manager", "--allocate-node-cidrs=true", f"--cluster-cidr={cidrs}")]
    blocks = zip(nodes["name"], nodes["pod_cidr_ipv4"].astype(str), nodes["pod_cidr_ipv6"].astype(str), strict=True)
    items += [node(name, ipv4, ipv6) for name, ipv4, ipv6 in blocks]
    where = zip(pods["node"], pods["pod_ipv4"].astype(str), pods["pod_ipv6"].astype(str), strict=True)
    names = nodes["name"].tolist()
    items += [pod(f"p{i}", ipv4, ipv6, node=names[row]) for i, (row, ipv4, ipv6) in enumerate(where)]
    items += [service("web", "10.96.0.10")]
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return path


@pytest.fixture(scope="module", params=["sample", "5,000 nodes"])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    dump = sample_path("nearly-full") if request.param == "sample" else large_dump(folder / "dump.json")
    with serving(dashboard(dump), "http://127.0.0.1:{port}/", folder) as url:
        yield url


def opened(page, tab: str):
    page.set_default_timeout(ANSWERED)
    page.get_by_role("tab", name=tab).click(timeout=READY)
    page.get_by_role("heading", name=TABS[tab]).wait_for(timeout=READY)
    return page.locator(".widget-vbox", has=page.get_by_role("heading", name=TABS[tab])).last


def control(panel, label: str):
    """The box that holds a control, by the label before it."""
    return panel.locator(".widget-hbox", has=panel.page.get_by_text(label, exact=True)).first


def write(panel, label: str, text: str) -> None:
    field = control(panel, label).locator("input").first
    field.fill(text)
    field.press("Enter")
    field.blur()


def choose(panel, label: str, option: str) -> None:
    control(panel, label).locator("select").select_option(option)


def slide(panel, label: str, value: int) -> None:
    """Write into the number beside the slider, as a reader with a keyboard does."""
    readout = control(panel, label).locator(".widget-readout")
    readout.click()
    readout.fill(str(value))
    readout.press("Enter")


def test_capacity(page) -> None:
    panel = opened(page, "capacity")
    write(panel, "cluster CIDR IPv4", "10.64.0.0/20")
    slide(panel, "nodes", 18)
    panel.get_by_text("--cluster-cidr 10.64.0.0/20").first.wait_for(timeout=ANSWERED)
    write(panel, "counted from", "2031-05-06")
    panel.get_by_text("days from 2031-05-06").first.wait_for(timeout=ANSWERED)
    write(panel, "cluster CIDR IPv4", "10.64.0.0/99")
    panel.get_by_text("'10.64.0.0/99' is not a CIDR").wait_for(timeout=ANSWERED)
    assert "last input that was valid" in panel.inner_text()


def test_policy(page) -> None:
    panel = opened(page, "policy")
    write(panel, "service CIDRs", "10.96.0.0/16")
    choose(panel, "ipFamilyPolicy", "RequireDualStack")
    panel.get_by_text("Refused (422 Invalid)").wait_for(timeout=ANSWERED)
    assert "this cluster is not configured for dual-stack services" in panel.inner_text()
    write(panel, "service CIDRs", "10.96.0.0/16,fd00:10:96::/112")
    panel.get_by_text("Accepted").wait_for(timeout=ANSWERED)
    assert "fd00:10:96::" in panel.inner_text()


def test_exhaustion(page) -> None:
    panel = opened(page, "exhaustion")
    choose(panel, "add", "SingleStack Services")
    write(panel, "a step adds", "50")
    slide(panel, "step", 2)
    panel.get_by_text("SingleStack Services").filter(has_text="step").or_(
        panel.get_by_text("100 SingleStack Services added, none refused")
    ).first.wait_for(timeout=ANSWERED)
    assert "Last steps" in panel.inner_text()


def test_address_map(page) -> None:
    panel = opened(page, "address map")
    panel.locator("svg rect").first.wait_for(timeout=ANSWERED)
    before = panel.locator("svg").get_attribute("aria-label")
    slide(panel, "zoom", 4)
    page.wait_for_function(
        "before => ![...document.querySelectorAll('svg')].some(s => s.ariaLabel === before)", arg=before
    )
    after = panel.locator("svg").get_attribute("aria-label")
    assert after.startswith("Map of ")
    assert panel.locator("svg rect title").first.text_content().count(": ") == 1


def test_egress(page) -> None:
    panel = opened(page, "egress")
    panel.get_by_text("What nobody said").wait_for(timeout=ANSWERED)
    choose(panel, "masquerading", "none")
    choose(panel, "NATs at the border", "IPv4")
    choose(panel, "routed back to pods", "cluster CIDRs")
    choose(panel, "default route", "IPv4 and IPv6")
    panel.get_by_text("IPv4: ok_").wait_for(timeout=ANSWERED)
    down = control(panel, "down")
    down.click()
    down.locator("input").fill("NAT/border")
    down.locator("input").press("Enter")
    panel.get_by_text("The failure changes what becomes of the traffic").wait_for(timeout=ANSWERED)
    assert "every border NAT that serves the node in IPv4 is down" in panel.inner_text()
    write(panel, "destination", "nowhere")
    panel.get_by_text("destination 'nowhere' is no address").wait_for(timeout=ANSWERED)


def test_plan(page) -> None:
    panel = opened(page, "plan")
    write(panel, "nodes", "20")
    write(panel, "own IPv4 blocks", "172.16.0.0/12")
    panel.get_by_text("--cluster-cidr=172.16.0.0/").first.wait_for(timeout=ANSWERED, state="attached")
    write(panel, "own IPv4 blocks", "10.0.0.0/24")
    panel.get_by_text("Relax one").wait_for(timeout=ANSWERED)
    assert "last input that was valid" in panel.inner_text()


def test_long_work_shows_how_far_it_is_and_can_be_cancelled(page, visit, request) -> None:
    panel = opened(page, "exhaustion")
    choose(panel, "add", "nodes")
    write(panel, "a step adds", "10000")
    slide(panel, "step", 200)
    cancel = panel.get_by_role("button", name="cancel")
    cancel.wait_for(timeout=ANSWERED)
    page.wait_for_function("() => parseFloat(document.querySelector('.progress-bar')?.style.width) > 1")
    visit.keep(f"{request.node.name}, working")
    cancel.click()
    panel.get_by_text("Cancelled.").wait_for(timeout=ANSWERED)
    cancel.wait_for(state="hidden")
    slide(panel, "step", 1)
    panel.get_by_text("First refused at step 1").or_(panel.get_by_text("10,000 nodes added")).wait_for(timeout=ANSWERED)
