"""Assertions for suites of users: they pass, or fail in words that name the rows."""

import subprocess
import sys

import numpy as np
import pytest

import dsmodel as ds
from dsmodel import testing

WEB = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}


def service(name, **spec):
    return {**WEB, "metadata": {"name": name}, "spec": {**WEB["spec"], **spec}}


@pytest.mark.parametrize(
    ("question", "passes"),
    [
        ({"pool": "node blocks", "at_least": 250}, True),
        ({"pool": "node blocks", "at_least": 251}, False),
        ({"pool": "node blocks", "ip_family": "IPv6", "at_least": 0.97}, True),
        ({"pool": "node blocks", "ip_family": ds.IPFamily.IPV6, "at_least": 0.98}, False),
        ({"pool": "pod addresses", "ip_family": "IPv6", "at_least": 10**18}, True),
        ({"pool": "node ports", "at_least": 2000}, True),
        ({"ip_family": "IPv4", "at_least": 1}, True),
        ({"at_least": 0}, True),
        ({"at_least": 1.0}, False),
        ({"pool": "published: nodes", "at_least": 4994}, True),
    ],
)
def test_headroom(question, passes):
    cluster = ds.examples.kubeadm_dual_stack()
    if passes:
        frame = testing.assert_headroom(cluster, **question)
        assert len(frame)
        return
    with pytest.raises(AssertionError, match="less than") as caught:
        testing.assert_headroom(cluster, **question)
    assert isinstance(caught.value, ds.errors.CheckFailed)
    assert len(caught.value.findings)


def test_a_failure_names_pool_numbers_and_cause():
    with pytest.raises(ds.errors.CheckFailed) as caught:
        testing.assert_headroom(ds.examples.nearly_full(), pool="node blocks", at_least=5)
    words = str(caught.value).splitlines()
    assert words[0] == "1 of 2 pools has less than 5 left:"
    assert words[1].startswith("  node blocks, IPv6: 0 left of 8 (0 %). --cluster-cidr fd00:10:244::/61")


def test_a_guessed_range_is_no_headroom():
    cluster = ds.examples.kubeadm_dual_stack()
    cluster.config.evidence["service_cidrs"] = "guess"
    with pytest.raises(ds.errors.CheckFailed, match="service addresses, IPv4"):
        testing.assert_headroom(cluster, pool="service addresses", at_least=1)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"pool": "nodes", "at_least": 1}, "no pool 'nodes'"),
        ({"ip_family": "IPv5", "at_least": 1}, "ip_family='IPv5'"),
        ({"pool": "node ports", "ip_family": "IPv4", "at_least": 1}, "no pool 'node ports' of family 'IPv4'"),
        ({"at_least": -1}, "at_least=-1"),
        ({"at_least": 1.5}, "a share is a float"),
        ({"at_least": True}, "at_least=True"),
        ({"at_least": "many"}, "at_least='many'"),
    ],
)
def test_a_question_that_means_nothing_is_no_failed_check(question, words):
    with pytest.raises(ds.errors.InvalidInput, match=words):
        testing.assert_headroom(ds.examples.kubeadm_dual_stack(), **question)


def test_overlaps_with_peers_and_inside():
    cluster = ds.examples.kubeadm_dual_stack()
    assert len(testing.assert_no_overlap(cluster, peers=["192.168.0.0/16"], reserved={"vpn": "172.16.0.0/12"})) == 0
    with pytest.raises(AssertionError, match=r"2 overlaps:\n  Peer/office: .*\(peer-overlap\)"):
        testing.assert_no_overlap(cluster, peers={"office": ["10.244.0.0/24", "10.96.0.0/24"]})
    inside = ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.0.0.0/8"], service_cidrs=["10.96.0.0/16"]))
    with pytest.raises(AssertionError, match="service-range-in-cluster-cidr"):
        testing.assert_no_overlap(inside)
    with pytest.raises(ds.errors.InvalidCidr):
        testing.assert_no_overlap(cluster, peers=["10.0.0.0/99"])


def test_admission_of_objects_text_and_files(tmp_path):
    cluster = ds.examples.single_stack_ipv4()
    assert testing.assert_admitted(cluster, [service("a"), service("b")])["verdict"].tolist() == ["accepted"] * 2
    text = ds.write_manifests([service("a"), service("d", ipFamilyPolicy="RequireDualStack")])
    file = tmp_path / "services.yaml"
    file.write_text(text)
    for given in (text, file, str(tmp_path), ds.read_manifests(file)):
        with pytest.raises(AssertionError, match=r"1 of 2 Services is not admitted:\n  .*default/d: refused") as caught:
            testing.assert_admitted(ds.ClusterConfig.of(service_cidrs=["10.96.0.0/16"]), given)
        assert caught.value.findings["name"].tolist() == ["d"]


def test_changes_fail_only_where_asked():
    config = ds.ClusterConfig.of(service_cidrs=["10.96.0.0/16"])
    prefer = [service("p", ipFamilyPolicy="PreferDualStack")]
    testing.assert_admitted(config, prefer)
    with pytest.raises(AssertionError, match="not admitted as written"):
        testing.assert_admitted(config, prefer, unchanged=True)


def test_many_rows_are_counted_not_listed():
    config = ds.ClusterConfig.of(service_cidrs=["10.96.0.0/16"])
    wrong = [service(f"s{number}", ipFamilyPolicy="RequireDualStack") for number in range(9)]
    with pytest.raises(AssertionError, match="9 of 9 Services are not") as caught:
        testing.assert_admitted(config, wrong)
    assert str(caught.value).splitlines()[-1] == "  and 4 more"
    assert len(caught.value.findings) == 9


def test_the_cluster_is_only_looked_at():
    cluster = ds.examples.kubeadm_dual_stack()
    before = repr(cluster)
    testing.assert_headroom(cluster, at_least=0)
    testing.assert_no_overlap(cluster)
    testing.assert_admitted(cluster, [service("fresh")])
    assert repr(cluster) == before
    assert np.count_nonzero(cluster.services["name"] == "fresh") == 0


def test_a_suite_of_a_user_fails_with_the_words_and_without_our_frames(tmp_path):
    file = tmp_path / "test_policy.py"
    file.write_text(
        "import dsmodel as ds\n"
        "from dsmodel import testing\n"
        "def test_nodes():\n"
        "    testing.assert_headroom(ds.examples.nearly_full(), pool='node blocks', at_least=5)\n"
    )
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            "--rootdir",
            str(tmp_path),
            str(file),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    assert "1 of 2 pools has less than 5 left" in run.stdout
    assert "def assert_headroom" not in run.stdout


def test_importing_testing_needs_no_pytest():
    code = "import sys; from dsmodel import testing; print('pytest' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
