"""Label selectors: the API's truth table, its refusals, and a slow oracle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.errors import InvalidField
from dsmodel.kube.label_selectors import OPERATORS, LabelSelector, read_selector


def expression(key, operator, *values):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


# selector, labels, selected, why
ROWS = [
    (None, {}, False, "a selector that is not there selects nothing"),
    (None, {"app": "web"}, False, "a selector that is not there selects nothing"),
    ({}, {}, True, "an empty selector selects everything"),
    ({"matchLabels": {}, "matchExpressions": []}, {"a": "b"}, True, "empty fields are no fields"),
    ({"matchLabels": None, "matchExpressions": None}, {}, True, "null fields are no fields"),
    ({"matchLabels": {"app": "web"}}, {"app": "web", "x": "y"}, True, "other labels do not matter"),
    ({"matchLabels": {"app": "web"}}, {"app": "api"}, False, "another value"),
    ({"matchLabels": {"app": "web"}}, {}, False, "no such key"),
    ({"matchLabels": {"app": ""}}, {}, False, "an empty value is not a missing key"),
    ({"matchLabels": {"app": ""}}, {"app": ""}, True, "an empty value is a value"),
    ({"matchLabels": {"a": "1", "b": "2"}}, {"a": "1"}, False, "all must hold"),
    (expression("tier", "In", "a", "b"), {"tier": "b"}, True, "one of the values"),
    (expression("tier", "In", "a", "b"), {}, False, "In needs the key"),
    (expression("tier", "NotIn", "a"), {"tier": "b"}, True, "none of the values"),
    (expression("tier", "NotIn", "a"), {"tier": "a"}, False, "one of the values"),
    (expression("tier", "NotIn", "a"), {}, True, "NotIn holds without the key"),
    (expression("tier", "Exists"), {"tier": ""}, True, "the key is there"),
    (expression("tier", "Exists"), {}, False, "the key is not there"),
    (expression("tier", "DoesNotExist"), {}, True, "the key is not there"),
    (expression("tier", "DoesNotExist"), {"tier": ""}, False, "the key is there"),
    (
        {"matchLabels": {"app": "web"}, **expression("app", "DoesNotExist")},
        {"app": "web"},
        False,
        "requirements that contradict each other select nothing",
    ),
    ({"matchLabels": {"a": "b"}, "matchNames": 7}, {"a": "b"}, True, "an unknown field is pruned"),
    (expression("kubernetes.io/metadata.name", "In", "x"), {"kubernetes.io/metadata.name": "x"}, True, "prefixed key"),
]


@pytest.mark.parametrize(("selector", "labels", "selected", "why"), ROWS)
def test_what_is_selected(selector, labels, selected, why) -> None:
    assert read_selector(selector).matches(labels) is selected, why


# selector, path, words
REFUSED = [
    (expression("a", "Equals", "b"), "s.matchExpressions[0].operator", "not a valid selector operator"),
    ({"matchExpressions": [{"key": "a"}]}, "s.matchExpressions[0].operator", "not a valid selector operator"),
    (expression("a", "In"), "s.matchExpressions[0].values", "must be specified when `operator` is 'In' or 'NotIn'"),
    (
        expression("a", "Exists", "b"),
        "s.matchExpressions[0].values",
        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
    ),
    (expression("-a", "Exists"), "s.matchExpressions[0].key", "name part must consist of alphanumeric characters"),
    (expression("", "Exists"), "s.matchExpressions[0].key", "name part must be non-empty"),
    ({"matchExpressions": [{"operator": "Exists"}]}, "s.matchExpressions[0].key", "name part must be non-empty"),
    (expression("a", "In", "x", "x y"), "s.matchExpressions[0].values[1]", "a valid label must be an empty string or"),
    ({"matchLabels": {"a/b/c": "d"}}, "s.matchLabels", "a qualified name must consist of"),
    ({"matchLabels": {"a": "x" * 64}}, "s.matchLabels", "must be no more than 63"),
    ({"matchLabels": {"a": 1}}, "s.matchLabels", "must be text"),
    ({"matchLabels": ["a"]}, "s.matchLabels", "must be an object"),
    ({"matchExpressions": {"a": "b"}}, "s.matchExpressions", "must be a list"),
    ({"matchExpressions": ["a"]}, "s.matchExpressions[0]", "must be an object"),
    ({"matchExpressions": [{"key": 1, "operator": "Exists"}]}, "s.matchExpressions[0].key", "must be text"),
    ({"matchExpressions": [{"key": "a", "operator": ["In"]}]}, "s.matchExpressions[0].operator", "not a valid"),
    ({"matchExpressions": [{"key": "a", "operator": "In", "values": "b"}]}, "s.matchExpressions[0].values", "a list"),
    ("app=web", "s", "must be an object"),
]


@pytest.mark.parametrize(("selector", "path", "words"), REFUSED)
def test_what_is_refused(selector, path, words) -> None:
    with pytest.raises(InvalidField) as caught:
        read_selector(selector, path="s")
    assert caught.value.path == path
    assert words in caught.value.detail


def test_the_text_is_that_of_kubectl() -> None:
    texts = [
        str(read_selector(each))
        for each in (None, {}, {"matchLabels": {"b": "2", "a": "1"}}, expression("t", "NotIn", "y", "x", "y"))
    ]
    assert texts == ["<none>", "<all>", "a=1,b=2", "t notin (x,y)"]
    assert [str(read_selector(expression("t", name))) for name in ("Exists", "DoesNotExist")] == ["t", "!t"]


def test_equal_selectors_are_equal() -> None:
    one, other = {"matchLabels": {"a": "1"}}, expression("a", "In", "1", "1")
    assert read_selector(one) == read_selector(other) != LabelSelector(())
    assert hash(read_selector(one)) == hash(read_selector(other))


words = st.sampled_from(["a", "b", "c"])


@given(
    st.lists(st.tuples(words, st.sampled_from(list(OPERATORS)), st.lists(words, min_size=1, max_size=2)), max_size=3),
    st.dictionaries(words, words, max_size=2),
    st.dictionaries(words, words, max_size=3),
)
def test_a_slow_oracle_agrees(expressions, match_labels, labels) -> None:
    selector = {
        "matchLabels": match_labels,
        "matchExpressions": [
            {"key": key, "operator": operator} | ({"values": values} if OPERATORS[operator] else {})
            for key, operator, values in expressions
        ],
    }
    expected = all((key, value) in labels.items() for key, value in match_labels.items())
    for key, operator, values in expressions:
        among = any((key, value) in labels.items() for value in values)
        present = key in set(labels)
        expected &= {"In": among, "NotIn": not among, "Exists": present, "DoesNotExist": not present}[operator]
    assert read_selector(selector).matches(labels) is expected
