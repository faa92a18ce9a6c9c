"""Every form a dump may come in, and files that are none."""

import gzip
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dump_texts import listed, node, of_kind, rules, same, small_cluster, write

from dsmodel.errors import InvalidDump, InvalidInput
from dsmodel.io.kubectl import read_cluster
from dsmodel.io.samples import SAMPLES, sample_path


@pytest.mark.parametrize("indent", [None, 1, 4])
@pytest.mark.parametrize("streaming", [True, False, "auto"])
@pytest.mark.parametrize("packed", [True, False])
def test_layout_compression_and_streaming_change_nothing(
    tmp_path: Path, indent: int | None, streaming: Any, *, packed: bool
) -> None:
    text = listed(*small_cluster(), indent=indent).encode()
    path = write(tmp_path, gzip.compress(text) if packed else text, "dump.json.gz" if packed else "dump.json")
    cluster = read_cluster(path, streaming=streaming)
    assert same(cluster, read_cluster(io.StringIO(listed(*small_cluster()))))
    assert len(cluster.pods) == 5
    assert rules(cluster) == {}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_read_whole_and_in_pieces_are_the_same(name: str) -> None:
    path = sample_path(name)
    assert same(read_cluster(path, streaming=True), read_cluster(path, streaming=False))


def test_objects_come_in_any_order() -> None:
    forwards = read_cluster(io.StringIO(listed(*small_cluster())))
    backwards = read_cluster(io.StringIO(listed(*reversed(small_cluster()))))
    assert backwards.config == forwards.config
    for column in ("pod_ipv4", "holds_address"):
        assert backwards.pods[column].tolist() == forwards.pods[column].tolist()[::-1]
    node_of = dict(zip(backwards.pods["name"], backwards.nodes["name"][backwards.pods["node"]], strict=True))
    assert node_of["p0"] == "a"
    assert node_of["p1"] == "b"


def test_several_files_are_one_cluster(tmp_path: Path) -> None:
    paths = []
    for kind in ("Node", "Pod", "Service"):
        items = of_kind(small_cluster(), kind)
        paths.append(write(tmp_path, listed(*items, kind=f"{kind}List"), f"{kind}.json"))
    assert same(read_cluster(paths), read_cluster(io.StringIO(listed(*small_cluster()))))
    assert same(read_cluster(tmp_path), read_cluster([str(path) for path in paths]))


def test_a_folder_of_yaml_json_and_gzip(tmp_path: Path) -> None:
    import yaml

    deep = tmp_path / "namespaces" / "default" / "core"
    deep.mkdir(parents=True)
    items = small_cluster()
    write(deep, yaml.safe_dump({"apiVersion": "v1", "kind": "PodList", "items": of_kind(items, "Pod")}), "pods.yaml")
    write(tmp_path, "---\n" + "---\n".join(yaml.safe_dump(n) for n in of_kind(items, "Node")), "nodes.yml")
    write(tmp_path, gzip.compress(listed(*of_kind(items, "Service")).encode()), "services.json.gz")
    write(tmp_path, "not a dump", "notes.txt")
    cluster = read_cluster(tmp_path)
    assert (len(cluster.nodes), len(cluster.pods), len(cluster.services)) == (2, 5, 2)
    assert rules(cluster) == {}


def test_a_list_without_kinds_in_its_items() -> None:
    bare = [{k: v for k, v in n.items() if k not in {"kind", "apiVersion"}} for n in of_kind(small_cluster(), "Node")]
    first = json.dumps({"kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": bare}, separators=(",", ":"))
    last = json.dumps({"metadata": {}, "items": bare, "apiVersion": "v1", "kind": "NodeList"}, separators=(",", ":"))
    for text in (first, last, json.dumps(json.loads(first), indent=4)):
        for streaming in (True, False):
            assert len(read_cluster(io.StringIO(text), streaming=streaming).nodes) == 2


def test_documents_one_after_another_and_bare_arrays() -> None:
    expected = read_cluster(io.StringIO(listed(*small_cluster())))
    for separator in ("", "\n", "\n\n"):
        text = separator.join(json.dumps(item) for item in small_cluster())
        assert same(read_cluster(io.StringIO(text)), expected)
    assert same(read_cluster(io.StringIO(json.dumps(small_cluster()))), expected)


def test_a_list_inside_a_list() -> None:
    inner = {"apiVersion": "v1", "kind": "List", "items": small_cluster()[:4]}
    cluster = read_cluster(io.StringIO(listed(inner, *small_cluster()[4:])))
    assert (len(cluster.nodes), len(cluster.pods), len(cluster.services)) == (2, 5, 2)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_a_windows_shell_writes(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "dump.json"
    path.write_text(listed(*small_cluster()), encoding=encoding)
    assert len(read_cluster(path).pods) == 5


def test_standard_input(tmp_path: Path) -> None:
    code = "import sys, dsmodel; print(len(dsmodel.read_cluster('-').pods), file=sys.stdout)"
    for data in (listed(*small_cluster()).encode(), gzip.compress(listed(*small_cluster()).encode())):
        done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, cwd=tmp_path, check=True)
        assert done.stdout.strip() == b"5"
        assert done.stderr == b""


def test_open_files_of_text_and_bytes(tmp_path: Path) -> None:
    path = write(tmp_path, listed(*small_cluster()))
    with path.open() as text, path.open("rb") as binary:
        assert same(read_cluster(text), read_cluster(binary))


BAD_FILES = {
    "empty": (b"", "is empty"),
    "white space": (b" \n\t\n", "white space"),
    "binary": (bytes(range(256)) * 9, "neither JSON nor YAML"),
    "prose": (b"Error from server (Forbidden): nodes is forbidden", "neither JSON nor YAML"),
    "table": (b"NAME    STATUS   AGE\nnode-a  Ready    1d\n", "write the dump with -o json"),
    "number": (b"7", "neither JSON nor YAML"),
    "text": (b'"kind"', "neither JSON nor YAML"),
    "other json": (b'{"a": 1}', "no Kubernetes object"),
    "no items": (b'{"apiVersion": "v1", "kind": "List", "items": []}', "no Kubernetes object"),
    "items of a wrong type": (b'{"apiVersion": "v1", "kind": "List", "items": {"a": 1}}', "are no array"),
    "items null": (b'{"apiVersion": "v1", "kind": "List", "items": null}', "no Kubernetes object"),
    "array of numbers": (b"[1, 2]", "no Kubernetes object"),
    "deep": (b'{"kind": "List", "items": [' * 3000, "nested too deeply|damaged"),
    "truncated gzip": (gzip.compress(listed(*small_cluster()).encode())[:-40], "gzip data is damaged or cut short"),
    "damaged gzip": (gzip.compress(b"x" * 5000)[:12] + b"\0" * 80, "gzip data is damaged|neither JSON nor YAML"),
    "gzip of nothing": (gzip.compress(b""), "white space|empty"),
    "bad utf-16": (b"\xff\xfe{\x00\x00\xd8x", "begins as UTF-16"),
}


@pytest.mark.parametrize("streaming", [True, False, "auto"])
@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_named(tmp_path: Path, case: str, streaming: Any) -> None:
    data, message = BAD_FILES[case]
    path = write(tmp_path, data, "bad.json")
    with pytest.raises(InvalidDump, match=f"(?s){re.escape(str(path))}.*({message})"):
        read_cluster(path, streaming=streaming)


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("indent", [None, 4])
def test_a_truncated_dump_names_file_and_object(tmp_path: Path, indent: int | None, *, streaming: bool) -> None:
    text = listed(*small_cluster(), indent=indent)
    path = write(tmp_path, text[: text.index("10.244.1.5") + 4])
    with pytest.raises(
        InvalidDump, match=r"dump\.json: damaged at byte [\d,]+ of [\d,]+, in or after Pod/p1: ends too"
    ):
        read_cluster(path, streaming=streaming)


def test_a_damaged_dump_names_the_place(tmp_path: Path) -> None:
    text = listed(*small_cluster())
    place = text.index('"10.244.1.5"')
    path = write(tmp_path, text[:place] + "}" + text[place:])
    with pytest.raises(InvalidDump, match=f"damaged at byte {place:,} of .*Pod/p1: JSON is malformed"):
        read_cluster(path)


def test_a_cut_after_any_byte_is_an_error_or_a_cluster(tmp_path: Path) -> None:
    text = listed(*small_cluster()[:2], indent=1).encode()
    for end in range(0, len(text), 7):
        with pytest.raises(InvalidDump, match=r"dump\.json"):
            read_cluster(write(tmp_path, text[:end]), streaming=bool(end % 2))


def test_missing_files_and_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(InvalidDump, match="no such file"):
        read_cluster(tmp_path / "nowhere.json")
    with pytest.raises(InvalidDump, match="holds no dump"):
        read_cluster(tmp_path)
    with pytest.raises(InvalidInput, match="no dump is named"):
        read_cluster([])
    with pytest.raises(InvalidInput, match="neither a path nor an open file"):
        read_cluster([7])  # type: ignore[list-item]
    with pytest.raises(InvalidInput, match="streaming='yes'"):
        read_cluster(tmp_path, streaming="yes")  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_nobody_may_read(tmp_path: Path) -> None:
    path = write(tmp_path, listed(*small_cluster()))
    path.chmod(0)
    with pytest.raises(InvalidDump, match="cannot be read"):
        read_cluster(path)


def test_one_bad_file_of_a_folder_is_a_finding(tmp_path: Path) -> None:
    write(tmp_path, listed(*small_cluster()), "good.json")
    write(tmp_path, listed(*small_cluster())[:300], "bad.json")
    write(tmp_path, '{"version": 1}', "other.json")
    cluster = read_cluster(tmp_path)
    assert len(cluster.pods) == 5
    files = dict(zip(cluster.findings["rule"], cluster.findings["file"], strict=True))
    assert files["file-refused"].endswith("bad.json")
    assert files["object-refused"].endswith("other.json")


@pytest.mark.parametrize("streaming", [True, False])
def test_text_after_the_dump_is_named(*, streaming: bool) -> None:
    with pytest.raises(InvalidDump, match=r"after a whole document, at byte .* comes what is no JSON: b'done'"):
        read_cluster(io.StringIO(listed(*small_cluster()) + "\ndone"), streaming=streaming)


def test_long_values_are_cut_in_messages() -> None:
    cluster = read_cluster(io.StringIO(listed(node("a", allocatable={"pods": "9" * 5000}))))
    assert max(map(len, cluster.findings["message"].tolist())) < 700
