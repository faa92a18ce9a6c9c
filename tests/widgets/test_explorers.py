"""Explorers driven headless: controls moved, answers read as data and as what is shown."""

import html
import re
from pathlib import Path

import pytest
from egress_clusters import cluster_of
from traitlets import TraitError

import dsmodel as ds
from dsmodel.cli.exploring import explore
from dsmodel.graph.network import BorderNAT, Network
from dsmodel.io.configs import read_config
from dsmodel.widgets import (
    AddressMapExplorer,
    CapacityExplorer,
    EgressExplorer,
    ExhaustionExplorer,
    PlanExplorer,
    PolicyExplorer,
    capacity,
)
from dsmodel.widgets import egress as egress_explorer
from dsmodel.widgets.dashboard import QUESTIONS
from dsmodel.widgets.panel import Explorer

MAKERS = {
    "policy": lambda: PolicyExplorer(ds.examples.kubeadm_dual_stack()),
    "capacity": lambda: CapacityExplorer(ds.examples.kubeadm_dual_stack()),
    "exhaustion": lambda: ExhaustionExplorer(ds.examples.nearly_full()),
    "address map": lambda: AddressMapExplorer(ds.examples.nearly_full()),
    "egress": lambda: EgressExplorer(cluster_of()),
    "plan": lambda: PlanExplorer(ds.examples.nearly_full()),
}
SAID = {
    "masquerading": "ip-masq-agent with --enable-ipv6",
    "border": "IPv4",
    "routed": "none",
    "default_route": "IPv4 and IPv6",
    "nat64": "none",
}


def shown(explorer: Explorer) -> str:
    return str(explorer._answer.value)


def messages(explorer: Explorer) -> dict[str, str]:
    return {name: re.sub("<[^>]+>", "", w.value) for name, w in explorer._messages.items() if w.value}


@pytest.fixture(params=MAKERS)
def explorer(request: pytest.FixtureRequest) -> Explorer:
    return MAKERS[request.param]()


class TestEveryExplorer:
    def test_answers_when_it_is_made(self, explorer: Explorer) -> None:
        assert explorer.frame is not None
        assert shown(explorer)
        assert messages(explorer) == {}

    def test_every_control_has_a_label_a_unit_and_bounds(self, explorer: Explorer) -> None:
        rows = [row for row in explorer.view.children if hasattr(row, "children")]
        assert len(rows) == len(explorer.controls) + 1  # that of progress comes last
        for row in rows[:-1]:
            label, widget, unit, _message = row.children
            assert label.value
            assert unit.value
            number = isinstance(widget.value, int | float) and not isinstance(widget.value, bool)
            assert not number or hasattr(widget, "options") or widget.min <= widget.value <= widget.max

    def test_shows_no_ids_scripts_or_outside_resources(self, explorer: Explorer) -> None:
        assert not re.search(r"\sid=|<script|https?://|url\(", shown(explorer))

    def test_the_same_controls_show_the_same(self, explorer: Explorer) -> None:
        before = shown(explorer)
        explorer.refresh()
        assert shown(explorer) == before
        assert repr(explorer).startswith(type(explorer).__name__)


@pytest.mark.parametrize("question", QUESTIONS)
def test_hostile_names_stay_text(question: str) -> None:
    name = "<script>alert('&')"
    cluster = cluster_of(nodes=(name, "b"), pods=((name, name, name), ("shop", "web", "b")), zones=name)
    explorer = QUESTIONS[question](cluster)
    assert explorer.frame is not None
    assert "<script" not in shown(explorer)
    if question == "address map":
        assert "&lt;script&gt;" in shown(explorer)


class TestPolicy:
    def test_a_refusal_is_in_the_servers_words(self) -> None:
        explorer = PolicyExplorer()
        explorer.controls["service_cidrs"].value = "10.96.0.0/16"
        explorer.controls["ip_family_policy"].value = "RequireDualStack"
        server = ds.ControlPlane(service_cidrs=["10.96.0.0/16"])
        with pytest.raises(ds.errors.Rejected) as refusal:
            server.create(explorer.manifest())
        assert explorer.frame["message"].tolist() == [cause.message for cause in refusal.value.causes]
        assert "Refused (422 Invalid)" in shown(explorer)

    def test_versions_answer_differently(self) -> None:
        explorer = PolicyExplorer()
        explorer.controls["service_cidrs"].value = "10.96.0.0/16"
        explorer.controls["ip_family_policy"].value = "RequireDualStack"
        explorer.controls["kube_version"].value = "1.20"
        assert explorer.frame.set_index("field").loc["ipFamilyPolicy", "stored"] == "-"

    def test_ranges_that_mean_nothing_are_named_beside_their_control(self) -> None:
        explorer = PolicyExplorer()
        last = shown(explorer)
        explorer.controls["service_cidrs"].value = "10.96.0.0/99"
        assert "10.96.0.0/99" in messages(explorer)["service_cidrs"]
        assert shown(explorer) == last
        assert "last input that was valid" in explorer._state.value
        explorer.controls["service_cidrs"].value = "10.96.0.0/16"
        assert messages(explorer) == {}
        assert explorer._state.value == ""

    def test_what_is_typed_does_not_become_markup(self) -> None:
        explorer = PolicyExplorer()
        explorer.controls["cluster_ips"].value = "<b>x</b>"
        assert "<b>" not in shown(explorer)


class TestCapacity:
    def test_binds_as_the_report_says(self) -> None:
        explorer = CapacityExplorer()
        explorer.controls["nodes"].value = 200
        explorer.controls["pods_per_node"].value = 100
        assert explorer.frame.equals(ds.reports.limits(explorer.cluster))
        assert (len(explorer.cluster.nodes), len(explorer.cluster.pods)) == (200, 20_000)

    def test_a_wrong_mask_is_named_beside_its_own_control(self) -> None:
        explorer = CapacityExplorer()
        explorer.controls["mask_ipv6"].value = 100
        assert list(messages(explorer)) == ["mask_ipv6"]
        assert "too big" in messages(explorer)["mask_ipv6"]

    @pytest.mark.parametrize(
        ("control", "value", "words"),
        [
            ("cluster_cidr_ipv4", "10.0.0.0/33", "10.0.0.0/33"),
            ("cluster_cidr_ipv4", "fd00::/48", "other control"),
            ("service_cidrs", "10.96.0.0/16,10.97.0.0/16", "one of each family"),
        ],
    )
    def test_wrong_ranges_are_named_beside_their_control(self, control: str, value: str, words: str) -> None:
        explorer = CapacityExplorer()
        explorer.controls[control].value = value
        assert words in messages(explorer)[control]

    def test_does_not_change_the_cluster_it_starts_from(self) -> None:
        cluster = ds.examples.kubeadm_dual_stack()
        explorer = CapacityExplorer(cluster)
        explorer.controls["nodes"].value = 50
        assert len(cluster.nodes) == 6
        assert explorer.cluster is not cluster

    def test_says_when_what_binds_is_full(self) -> None:
        explorer = CapacityExplorer(ds.examples.nearly_full())
        explorer.controls["nodes"].value = 2
        explorer.controls["nodes_per_week"].value = 2
        explorer.controls["start"].value = "2027-03-01"
        binding = explorer.frame.loc[explorer.frame["binds"]].iloc[0]
        full = {(each.pool, each.ip_family): each.dates[1] for each in explorer.forecast.exhaustion}
        assert str(full[binding["pool"], binding["ip_family"]]) in shown(explorer)
        assert explorer.forecast.demand.start.isoformat() == "2027-03-01"

    def test_without_growth_there_are_no_dates(self) -> None:
        explorer = CapacityExplorer()
        for name in ("nodes_per_week", "pods_per_week", "services_per_week"):
            explorer.controls[name].value = 0
        assert explorer.forecast is None
        assert "Nothing grows" in shown(explorer)

    def test_a_day_that_is_none_is_named(self) -> None:
        explorer = CapacityExplorer()
        explorer.controls["start"].value = "some day"
        assert list(messages(explorer)) == ["start"]

    def test_allocators_are_asked_a_step_of_a_future_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        explorer = CapacityExplorer(ds.examples.nearly_full())
        explorer.controls["nodes"].value = 4
        monkeypatch.setitem(capacity._HORIZONS, "allocators", "60d")
        explorer.controls["futures"].value = "allocators"
        shares = list(explorer.work())
        assert shares == sorted(shares)
        weeks = 9  # 60 days
        assert len(shares) == 1 + weeks * capacity._TRAJECTORIES["allocators"]
        assert (explorer.forecast.mode, explorer.forecast.trajectories) == ("replay", 10)
        assert "Replay against counts" in shown(explorer)


class TestExhaustion:
    def test_finds_the_first_refusal(self) -> None:
        explorer = ExhaustionExplorer(ds.examples.nearly_full())
        explorer.controls["step"].value = 3
        what_if = ds.examples.nearly_full()
        expected = [what_if.add_nodes(1).granted for _ in range(3)]
        assert explorer.frame["granted"].tolist() == expected
        assert explorer.cluster.leaked == what_if.leaked

    def test_going_back_is_the_same_as_never_having_gone(self) -> None:
        explorer = ExhaustionExplorer(ds.examples.nearly_full())
        explorer.controls["what"].value = "SingleStack Services"
        explorer.controls["step"].value = 4
        there = explorer.frame.copy()
        explorer.controls["step"].value = 9
        nine = explorer.frame.copy()
        explorer.controls["step"].value = 4
        assert explorer.frame.equals(there)
        explorer.controls["step"].value = 9
        assert explorer.frame.equals(nine)
        fresh = ExhaustionExplorer(ds.examples.nearly_full())
        fresh.controls["what"].value = "SingleStack Services"
        fresh.controls["step"].value = 9
        assert explorer.frame.equals(fresh.frame)

    def test_shows_the_static_band_being_used_last(self) -> None:
        config = ds.ClusterConfig.of(service_cidrs=["10.96.0.0/25"])
        explorer = ExhaustionExplorer(ds.Cluster(config))
        explorer.controls["what"].value = "SingleStack Services"
        explorer.controls["each"].value = 10
        explorer.controls["step"].value = 14
        frame = explorer.frame
        full = frame["dynamic_band_used"].max()
        assert (frame.loc[frame["static_band_used"] > 1, "dynamic_band_used"] == full).all()
        assert frame["reason"].iloc[-1] == "POOL_FULL"

    def test_pods_without_nodes_are_named(self) -> None:
        explorer = ExhaustionExplorer(ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.0.0.0/16"])))
        explorer.controls["what"].value = "pods"
        explorer.controls["step"].value = 1
        assert "no nodes" in messages(explorer)["what"]


class TestAddressMap:
    def test_zoom_and_pan_show_one_block(self) -> None:
        explorer = AddressMapExplorer(ds.examples.nearly_full())
        explorer.controls["zoom"].value = 3
        explorer.controls["place"].value = 5
        assert explorer.frame.attrs["range"] == "10.244.10.0/23"
        assert explorer.controls["place"].max == 7

    def test_every_cell_tells_its_owner(self) -> None:
        explorer = AddressMapExplorer(ds.examples.nearly_full())
        titles = re.findall("<title>([^<]+)</title>", shown(explorer))
        assert len(titles) == len(explorer.frame)
        assert sum("node block, " in title for title in titles) == (explorer.frame["kind"] == "node block").sum()

    def test_a_closer_look_stays_where_it_was(self) -> None:
        explorer = AddressMapExplorer(ds.examples.nearly_full())
        explorer.controls["zoom"].value = 3
        explorer.controls["place"].value = 5
        explorer.controls["zoom"].value = 5
        assert (explorer.frame.attrs["range"], explorer.controls["place"].value) == ("10.244.10.0/25", 20)
        explorer.controls["place"].value = 23
        explorer.controls["zoom"].value = 1
        assert (explorer.frame.attrs["range"], explorer.controls["place"].value) == ("10.244.8.0/21", 1)
        assert explorer.controls["place"].max == 1

    def test_every_kind_is_in_the_key_with_its_colour(self) -> None:
        explorer = AddressMapExplorer(ds.examples.nearly_full())
        key = shown(explorer).rpartition("</svg>")[2]
        for kind, n in explorer.frame["kind"].value_counts().items():
            assert n == 0 or f"&nbsp;{kind}, {n:,} cell" in key

    def test_a_range_that_is_none_is_named(self) -> None:
        explorer = AddressMapExplorer(ds.examples.nearly_full())
        explorer.controls["within"].value = "somewhere"
        assert "somewhere" in messages(explorer)["within"]


def egress(**values: object) -> EgressExplorer:
    explorer = EgressExplorer(cluster_of())
    for name, value in (SAID | values).items():
        explorer.controls[name].value = value
    return explorer


def verdicts(explorer: EgressExplorer) -> dict[str, str]:
    return explorer.frame.groupby("ip_family")["verdict"].first().to_dict()


class TestEgress:
    def test_what_nobody_said_is_unknown(self) -> None:
        explorer = EgressExplorer(ds.examples.kubeadm_dual_stack())
        assert verdicts(explorer) == {"IPv4": "unknown", "IPv6": "unknown"}
        for words in explorer.network().unknown:
            assert html.escape(words) in shown(explorer)

    def test_answers_as_trace_does(self) -> None:
        explorer = egress()
        network = Network.of(explorer.cluster).replacing(
            masquerades=explorer.network().masquerades,
            border=[BorderNAT(name="border", family="IPv4")],
            routed=(),
            default_route=True,
            nat64=(),
        )
        asked = ds.trace(explorer.cluster, "shop/cart", network=network)
        assert explorer.frame.equals(asked.frame)
        assert asked._repr_html_() in shown(explorer)
        assert verdicts(explorer) == {"IPv4": "ok_snat", "IPv6": "blackhole_return"}

    def test_the_agent_without_ipv6_leaves_the_pods_address(self) -> None:
        sources = {}
        for choice in ("ip-masq-agent, IPv4 only", "ip-masq-agent with --enable-ipv6"):
            explorer = egress(masquerading=choice)
            sources[choice] = explorer.frame.query("ip_family == 'IPv6'")["source"].iloc[-1]
        assert list(sources.values()) == ["fd00:10:244::2", "fd00:10::1"]

    @pytest.mark.parametrize(
        ("down", "before", "after"),
        [
            ("NAT/border", "ok_snat", "no_route"),  # the only way out of IPv4
            ("Node/a", "ok_snat", "no_route"),  # the pod's own node
            ("Zone/zone-a", "ok_snat", "no_route"),  # and its zone
            ("Node/b", "ok_snat", "ok_snat"),  # another node
        ],
    )
    def test_a_failure_says_what_it_changes(self, down: str, before: str, after: str) -> None:
        explorer = egress(down=(down,))
        assert verdicts(explorer)["IPv4"] == after
        words = "changes no verdict" if before == after else "changes what becomes of the traffic"
        assert words in shown(explorer)

    def test_what_can_fail_is_found_by_typing_and_the_pods_own_node_is_first(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(egress_explorer, "_MOST_NODES", 1)
        explorer = egress(pod="shop/cart")
        down = explorer.controls["down"]
        assert [name for name in down.allowed_tags if name.startswith("Node/")] == ["Node/a"]
        explorer.controls["pod"].value = "shop/web"
        assert down.allowed_tags[0] == "Node/b"  # though it is none of those that are listed
        assert down.allowed_tags[1].startswith("Zone/")
        down.value = ["Node/b"]
        assert verdicts(explorer)["IPv4"] == "no_route"
        with pytest.raises(TraitError):
            down.value = ["Node/nowhere"]

    def test_a_name_with_addresses_is_a_destination(self) -> None:
        explorer = egress(destination="db.example = 192.0.2.1, 2001:db8::1")
        assert explorer.trace.destination.addresses == ("192.0.2.1", "2001:db8::1")
        assert explorer.trace.destination.is_name

    def test_nat64_with_dns64_gives_an_ipv4_name_an_ipv6_way(self) -> None:
        alone = egress(destination="db.example=192.0.2.1", nat64="NAT64 alone")
        both = egress(destination="db.example=192.0.2.1", nat64="NAT64 and DNS64")
        assert alone.trace.decisions["IPv6"].verdict == "no_family"
        assert both.trace.decisions["IPv6"].verdict.works

    @pytest.mark.parametrize(
        ("control", "value", "words"),
        [
            ("pod", "shop/none", "not in the cluster"),
            ("pod", "cart", "namespace/name"),
            ("destination", "example.com", "no address"),
            ("destination", "db=300.0.0.1", "300.0.0.1"),
            ("destination", "<b>x</b>", "no address"),
        ],
    )
    def test_what_is_not_there_is_named_beside_its_control(self, control: str, value: str, words: str) -> None:
        explorer = egress(**{control: value})
        assert list(messages(explorer)) == [control]
        assert words in messages(explorer)[control]
        assert "<b>" not in explorer._messages[control].value

    def test_a_cluster_without_pods_says_so(self) -> None:
        explorer = EgressExplorer(ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.0.0.0/16"])))
        assert "not in the cluster" in messages(explorer)["pod"]


class TestPlan:
    def test_plans_as_the_planner_does(self) -> None:
        explorer = PlanExplorer()
        demand = {"nodes": 100, "pods_per_node": 110, "services": 200, "growth_ratio": 0.2, "years": 3}
        layout = ds.plan_layout(demand, ["10.0.0.0/8", "fd00:10::/48"])
        assert explorer.frame.equals(layout.ranges)
        explorer.controls["plan"].value = 2
        assert explorer.frame.equals(layout.choose(2).ranges)

    @pytest.mark.parametrize("installer", ["kubeadm", "k3s", "rke2", "flags"])
    def test_what_is_pasted_is_read_back_as_planned(self, installer: str, tmp_path: Path) -> None:
        explorer = PlanExplorer()
        explorer.controls["installer"].value = installer
        pasted = [html.unescape(text) for text in re.findall("<pre[^>]*>(.*?)</pre>", shown(explorer), re.DOTALL)]
        if installer == "flags":
            flags = dict(line.partition(" ")[::2] for line in pasted[-1].splitlines())
            read = ds.config_from_flags({name: given.split() for name, given in flags.items()})
        else:
            (tmp_path / "config.yaml").write_text(pasted[0])
            read = read_config(tmp_path / "config.yaml")
        planned = next(iter(explorer.layout.configs.values()))
        assert (read.cluster_cidrs, read.service_cidrs) == (planned.cluster_cidrs, planned.service_cidrs)
        assert read.node_cidr_mask_sizes == planned.node_cidr_mask_sizes

    def test_the_primary_family_comes_first(self) -> None:
        explorer = PlanExplorer()
        explorer.controls["primary"].value = "IPv6"
        assert [str(family) for family in next(iter(explorer.layout.configs.values())).ip_families] == ["IPv6", "IPv4"]

    def test_what_is_avoided_is_not_used(self) -> None:
        explorer = PlanExplorer()
        explorer.controls["avoid"].value = "10.0.0.0/9, 10.128.0.0/12"
        taken = explorer.frame.query("ip_family == 'IPv4'")["range"]
        assert not any(
            ds.Cidr(text).overlaps(ds.Cidr(each)) for text in taken for each in ("10.0.0.0/9", "10.128.0.0/12")
        )

    @pytest.mark.parametrize(
        ("control", "value", "beside", "words"),
        [
            ("blocks_ipv4", "10.0.0.0/20", "blocks_ipv4", "Relax one"),
            ("blocks_ipv6", "fd00::/116", "blocks_ipv6", "Relax one"),
            ("blocks_ipv6", "fd00::/48,fd00::/56", "blocks_ipv6", "overlap"),
            ("blocks_ipv4", "10.0.0.0/33", "blocks_ipv4", "10.0.0.0/33"),
            ("blocks_ipv4", "fd00::/48", "blocks_ipv4", "other control"),
            ("blocks_ipv4", "10.0.0.0/9,10.0.0.0/10", "blocks_ipv4", "overlap"),
            ("avoid", "here", "avoid", "here"),
        ],
    )
    def test_what_does_not_fit_is_said_beside_its_control(
        self, control: str, value: str, beside: str, words: str
    ) -> None:
        explorer = PlanExplorer()
        last = explorer.frame
        explorer.controls[control].value = value
        assert list(messages(explorer)) == [beside]
        assert words in messages(explorer)[beside]
        assert explorer.frame is last

    def test_without_any_block_there_is_no_plan(self) -> None:
        explorer = PlanExplorer()
        explorer.controls["blocks_ipv4"].value = ""
        assert set(explorer.frame["ip_family"]) == {"IPv6"}
        explorer.controls["blocks_ipv6"].value = ""
        assert "one family" in messages(explorer)["blocks_ipv4"]


@pytest.mark.parametrize("text", ["help", "README.md", "docs/how-to.md"])
def test_every_tab_is_named_where_a_user_looks(text: str) -> None:
    root = Path(__file__).parents[2]
    words = explore.help if text == "help" else (root / text).read_text().partition("explore")[2]
    assert [question for question in QUESTIONS if question not in " ".join(str(words).split())] == []
