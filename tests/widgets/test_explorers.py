"""Explorers driven headless: controls moved, answers read as data and as what is shown."""

import re

import pytest

import dsmodel as ds
from dsmodel.widgets import AddressMapExplorer, CapacityExplorer, ExhaustionExplorer, PolicyExplorer, capacity
from dsmodel.widgets.panel import Explorer

MAKERS = {
    "policy": lambda: PolicyExplorer(ds.examples.kubeadm_dual_stack()),
    "capacity": lambda: CapacityExplorer(ds.examples.kubeadm_dual_stack()),
    "exhaustion": lambda: ExhaustionExplorer(ds.examples.nearly_full()),
    "address map": lambda: AddressMapExplorer(ds.examples.nearly_full()),
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

    def test_every_control_has_a_label_and_a_bound_or_a_unit(self, explorer: Explorer) -> None:
        rows = [row for row in explorer.view.children if hasattr(row, "children")]
        assert len(rows) == len(explorer.controls) + 1  # that of progress comes last
        for row in rows[:-1]:
            label, widget, _unit, _message = row.children
            assert label.value
            assert not hasattr(widget, "max") or widget.max >= widget.min

    def test_shows_no_ids_scripts_or_outside_resources(self, explorer: Explorer) -> None:
        assert not re.search(r"\sid=|<script|https?://|url\(", shown(explorer))

    def test_the_same_controls_show_the_same(self, explorer: Explorer) -> None:
        before = shown(explorer)
        explorer.refresh()
        assert shown(explorer) == before
        assert repr(explorer).startswith(type(explorer).__name__)


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

    def test_allocators_are_asked_a_future_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        explorer = CapacityExplorer(ds.examples.nearly_full())
        explorer.controls["nodes"].value = 4
        monkeypatch.setitem(capacity._HORIZONS, "allocators", "60d")
        explorer.controls["futures"].value = "allocators"
        shares = list(explorer.work())
        assert shares == sorted(shares)
        assert len(shares) > 5
        assert (explorer.forecast.mode, explorer.forecast.trajectories) == ("replay", len(shares) - 1)
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

    def test_a_range_that_is_none_is_named(self) -> None:
        explorer = AddressMapExplorer(ds.examples.nearly_full())
        explorer.controls["within"].value = "somewhere"
        assert "somewhere" in messages(explorer)["within"]
