"""Manifests are read as kubectl reads them, and whatever is wrong with one is told where, without a traceback."""

import gzip
import io
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dsmodel as ds
from dsmodel.errors import InvalidDump, InvalidInput
from dsmodel.io.manifests import Manifests, read_manifests, write_manifests
from dsmodel.io.yaml_documents import YamlPart, read_yaml, yaml_scalar

WEB = """\
---
# Source: shop/templates/service.yaml
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
spec:
  ports:
    - port: 80
"""
HIDDEN = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {password: aHVudGVyMg==}\n"


def errors(manifests: Manifests) -> list[tuple[int, int, str]]:
    return [(entry.document, entry.line, entry.error) for entry in manifests if entry.error]


def nested_aliases(levels: int) -> str:
    """The "billion laughs": each line is ten times the line above."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "apiVersion: v1\nkind: Service\n" + "\n".join(lines) + "\n"


def test_documents_know_file_number_and_line(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(WEB + HIDDEN + WEB.replace("web", "api"))
    manifests = read_manifests(file)
    found = [(entry.file, entry.document, entry.line, entry.namespace, entry.name) for entry in manifests]
    assert found == [(str(file), 1, 2, "shop", "web"), (str(file), 3, 17, "shop", "api")]
    assert manifests.skipped == {"Secret": 1}


def test_a_folder_is_read_in_order_of_names_with_gzip_and_json_among_it(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "b.yaml.gz").write_bytes(gzip.compress(WEB.replace("web", "b").encode()))
    (tmp_path / "a.yml").write_text(WEB.replace("web", "a"))
    (tmp_path / "c.json").write_text(json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "c"}}))
    (tmp_path / "NOTES.txt").write_text("kind: Service")
    assert [entry.name for entry in read_manifests(tmp_path)] == ["a", "c", "b"]


def test_places_may_be_files_text_and_open_files() -> None:
    manifests = read_manifests([io.StringIO(WEB), io.BytesIO(WEB.encode()), WEB])
    assert [entry.name for entry in manifests] == ["web"] * 3


def test_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(WEB))
    assert len(read_manifests("-")) == 1


@pytest.mark.parametrize("kind", ["List", "ServiceList"])
def test_lists_are_opened(kind: str) -> None:
    item = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    bare = {"metadata": {"name": "bare"}}
    items = [item, bare] if kind == "ServiceList" else [item, {"kind": "List", "items": [item]}]
    manifests = read_manifests(json.dumps({"apiVersion": "v1", "kind": kind, "items": items}))
    assert [entry.name for entry in manifests] == ["web", "bare" if kind == "ServiceList" else "web"]
    assert not errors(manifests)


def test_yaml_lists_keep_no_secret() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, data: {p: aHVudGVyMg==}}\n"
    manifests = read_manifests(text + "- {apiVersion: v1, kind: Service, metadata: {name: web}}\n")
    assert [entry.name for entry in manifests] == ["web"]
    assert "aHVudGVyMg" not in repr(manifests.documents)


def test_a_service_of_another_group_is_another_kind() -> None:
    knative = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: hello}\n"
    manifests = read_manifests(knative)
    assert (len(manifests), manifests.skipped) == (0, {"Service.serving.knative.dev": 1})


def test_other_kinds_may_be_asked_for() -> None:
    node = "apiVersion: v1\nkind: Node\nmetadata: {name: a}\n"
    assert [entry.kind for entry in read_manifests(node + WEB, kinds=("Node", "Service"))] == ["Node", "Service"]


def test_concatenated_json_is_read_as_kubectl_does() -> None:
    one = json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}})
    manifests = read_manifests(f"{one}\n{one}")
    assert [(entry.document, entry.line) for entry in manifests] == [(1, 1), (2, 2)]


# bad input ---------------------------------------------------------------------------------------------------------

BAD = {
    "tab": (b"apiVersion: v1\nkind: Service\nspec:\n\tports: []\n", "found character", 4),
    "not UTF-8": (b"apiVersion: v1\nkind: Service\nmetadata: {name: \xff}\n", "byte 0xff is no UTF-8", 3),
    "unclosed quote": (b"kind: Service\nmetadata: {name: 'web}\n", "unexpected end of stream", 3),
    "template": (b"kind: Service\nmetadata: {name: {{ .Values.name }} }\n", "template that is not rendered", 2),
    "template block": (b"{{- if .Values.on }}\nkind: Service\n{{- end }}\n", "template that is not rendered", 1),
    "a list": (b"- kind: Service\n", "is a list, not an object", None),
    "text": (b"kind Service\n", "is text, not an object", None),
    "a number": (b"8\n", "is int, not an object", None),
    "map key": (b"? {a: b}\n: c\n", "invalid map key", 1),
    "null key": (b"~: c\n", "invalid map key", 1),
    "recursive": (b"kind: &a [*a]\n", "value contains itself", 1),
    "unknown anchor": (b"kind: *a\n", "unknown anchor 'a'", 1),
    "merge of text": (b"kind: Service\n<<: text\n", "map merge requires", 2),
    "no kind": (b"apiVersion: v1\nmetadata: {name: web}\n", "Object 'Kind' is missing", None),
    "kind is a list": (b"apiVersion: v1\nkind: [Service]\n", "Object 'Kind' is missing", None),
    "no apiVersion": (b"kind: Service\nmetadata: {name: web}\n", "apiVersion not set", None),
    "wrong version": (b"apiVersion: v2\nkind: Service\n", 'no matches for kind "Service" in version "v2"', None),
    "apiVersion is a number": (b"apiVersion: 1\nkind: Service\n", "apiVersion is int", None),
    "too deep": (b"kind: Service\nspec: " + b"[" * 5000, "nested deeper than", 2),
    "too deep, JSON": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested deeper than", None),
    "control character": (b"kind: Service\nmetadata: {name: \x07}\n", "control characters are not allowed", 2),
    "directive": (b"%YAML 9.9\nkind: Service\n", "", None),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_documents_are_named_and_the_others_are_read(name: str) -> None:
    text, words, line = BAD[name]
    data = text if name.endswith("JSON") else WEB.encode() + b"---\n" + text + WEB.encode()
    manifests = read_manifests(io.BytesIO(data))
    ((document, _, error),) = errors(manifests)
    assert words in error
    assert document == (1 if name.endswith("JSON") else 2)
    assert line is None or f"line {10 + 1 + line}:" in error
    assert len([entry for entry in manifests if entry.name == "web" and not entry.error]) == len(manifests) - 1


def test_an_alias_bomb_is_refused_at_once() -> None:
    start = time.process_time()
    ((document, _, error),) = errors(read_manifests(nested_aliases(40)))
    assert time.process_time() - start < 1
    assert (document, "excessive aliasing" in error) == (1, True)


def test_a_bomb_of_another_kind_is_not_even_parsed() -> None:
    bomb = nested_aliases(40).replace("Service", "ConfigMap")
    assert read_manifests(bomb).skipped == {"ConfigMap": 1}


def test_anchors_and_merges_are_fine() -> None:
    text = WEB.replace("name: web", "name: &n web\n  labels: &l {app: *n}\n  annotations: {<<: *l, b: c}")
    ((document),) = read_manifests(text)
    assert document.object["metadata"]["annotations"] == {"app": "web", "b": "c"}


def test_of_equal_keys_the_last_one_counts_and_is_told() -> None:
    (document,) = read_manifests(WEB.replace("  name: web", "  name: old\n  name: web"))
    assert (document.name, document.findings) == (
        "web",
        ('line 7: key "name" already set in map; the last one counts',),
    )
    (document,) = read_manifests('{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "name": "b"}}')
    assert (document.name, len(document.findings)) == ("b", 1)


def test_names_that_are_no_text_are_shown_as_text() -> None:
    (document,) = read_manifests(WEB.replace("name: web", "name: 12").replace("shop", "[a]"))
    assert (document.name, document.namespace, document.error) == ("12", "['a']", "")
    assert document.object["metadata"]["name"] == 12


def test_documents_without_content_do_not_count() -> None:
    manifests = read_manifests("---\n---\n# nothing\n---\n" + WEB + "---\nnull\n")
    assert [(entry.document, entry.name) for entry in manifests] == [(1, "web")]


def test_fifty_megabytes_are_read() -> None:
    filler = ("x" * 99 + "\n    ") * 5000
    large = "".join(f"---\napiVersion: v1\nkind: ConfigMap\ndata:\n  a: |\n    {filler}\n" for _ in range(99))
    manifests = read_manifests(
        large + WEB.replace("  name: web", f"  name: web\n  annotations:\n   a: |\n    {filler}")
    )
    assert (len(large) > 50_000_000, [entry.name for entry in manifests]) == (True, ["web"])


def test_a_file_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("dsmodel.io.manifests.MOST_BYTES", 50)
    with pytest.raises(InvalidInput, match=r"larger than .* name its parts"):
        read_manifests(WEB)
    (tmp_path / "large.yaml").write_text(WEB)
    assert errors(read_manifests(tmp_path))[0][0] == 0


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDump, match=r"nowhere\.yaml: no such file or folder"):
        read_manifests(tmp_path / "nowhere.yaml")
    with pytest.raises(InvalidInput, match="no manifest is named"):
        read_manifests([])
    broken = tmp_path / "cut.yaml.gz"
    broken.write_bytes(gzip.compress(WEB.encode())[:-9])
    with pytest.raises(InvalidDump, match=r"cut\.yaml\.gz: cannot be read"):
        read_manifests(broken)
    ((document, _, error),) = errors(read_manifests(tmp_path))
    assert (document, "cannot be read" in error) == (0, True)


def test_what_is_no_object_is_skipped_in_a_folder_only(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("replicas: 3\n")
    assert read_manifests(tmp_path).skipped == {"no kind": 1}
    assert errors(read_manifests(tmp_path / "values.yaml"))[0][2] == "Object 'Kind' is missing"


def test_utf16_and_a_byte_order_mark_are_read() -> None:
    for data in (WEB.encode("utf-16"), b"\xef\xbb\xbf" + WEB.encode(), WEB.replace("\n", "\r\n").encode()):
        assert [entry.name for entry in read_manifests(io.BytesIO(data))] == ["web"]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_named(data: bytes) -> None:
    manifests = read_manifests(io.BytesIO(b"kind: Service\napiVersion: v1\nmetadata: " + data))
    assert isinstance(manifests, Manifests)
    manifests.to_frame()


@given(st.text(alphabet="{}[]:,&*!|>'\"%@`#-? \n\tab1~<", max_size=60))
def test_any_punctuation_is_read_or_named(text: str) -> None:
    assert isinstance(read_manifests(io.StringIO(text)), Manifests)


# scalars as go-yaml v2 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("y", True), ("Off", False), ("NO", False), ("yEs", "yEs"), ("0x1F", 31), ("-0x1F", -31), ("0b11", 3),
        ("0o17", 15), ("017", 15), ("08", 8), ("1_000", 1000), ("+1", 1), ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("80.0", 80), ("1e3", 1000), (".5", 0.5), ("1.", 1), ("-", "-"), (".", "."), ("1e400", float("inf")),
        ("18446744073709551615", 18446744073709551615), ("18446744073709551616", 18446744073709551616.0),
        ("<<", "<<"), ("=", "="), ("10.96.0.1", "10.96.0.1"), ("fd00::1", "fd00::1"),
    ],
)  # fmt: skip
def test_plain_scalars(text: str, value: object) -> None:
    assert yaml_scalar(text) == value
    assert type(yaml_scalar(text)) is type(value)


def test_quotes_and_tags_decide() -> None:
    text = b"a: '80'\nb: !!str 80\nc: ! 80\nd: !!int '80'\ne: !local 80\nf: |\n  80\n80: y\ny: 1\n1.5: x\n"
    value, _ = read_yaml(YamlPart(text, 1))
    assert value == {
        "a": "80", "b": "80", "c": "80", "d": 80, "e": "80", "f": "80\n", "80": True, "true": 1, "1.5": "x",
    }  # fmt: skip


# writing -----------------------------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8)
SCALARS |= st.sampled_from(["y", "n", "0o17", "08", "1:30", "~", "<<", "=", "1e3", "---", "{{ x }}", "# a", " b "])


@given(st.dictionaries(st.text(max_size=5), st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3))))
def test_what_is_written_is_read(extra: dict[str, object]) -> None:
    text = json.dumps(extra)
    if any(not c.isprintable() for c in text) or "\\u" in text:
        return  # YAML has no form for some characters
    given = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": extra}
    (document,) = read_manifests(write_manifests([given]))
    assert document.object == given


def test_manifests_are_written_to_files(tmp_path: Path) -> None:
    manifests = read_manifests(WEB)
    for name in ("a.yaml", "a.json"):
        ds.write_manifests(manifests, tmp_path / name)
        assert ds.read_manifests(tmp_path / name).documents[0].object == manifests.documents[0].object


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(InvalidInput, match="JSON has no form for"):
        write_manifests([{"a": float("nan")}])


def test_the_record_shows_itself() -> None:
    manifests = read_manifests(WEB + HIDDEN + "---\n[\n")
    assert repr(manifests) == "Manifests(1 Service, 1 unreadable; 1 of other kinds)"
    frame = manifests.to_frame()
    assert frame["document"].tolist() == [1, 3]
    assert len(read_manifests("\n").to_frame()) == 0
