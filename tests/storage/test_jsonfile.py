from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_disca.storage.jsonfile import JsonError, load_json, parse_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
@settings(max_examples=50, deadline=None)
def test_what_json_writes_is_read_back(value):
    text = json.dumps(value)
    assert parse_json(text) == value
    assert parse_json(text.encode()) == value


@given(st.binary(max_size=60) | st.text('[]{}",:\\ 0123456789.eE-naul', max_size=60))
@settings(max_examples=200, deadline=None)
def test_anything_else_is_a_value_or_one_line(data):
    said = ""
    try:
        parse_json(data)
    except JsonError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "nested deeper than 64 levels"),
        ('{"a":' * 100 + "1" + "}" * 100, "nested deeper than 64 levels"),
        ("[" + "[]," * 2_000_000 + "[]]", "more than 2000000 values"),
        ("1" * 5000, "11111111111111111111..., which is too large a number"),
        ("-1e999", "-1e999, which is too large a number"),
        ("[NaN]", "contains NaN"),
        ("[-Infinity]", "contains -Infinity"),
        ("", "is not JSON"),
        ('{"a": 1', "is not JSON"),
        (b"\xff\xfe[\x00]\x00", "is not JSON"),
    ],
)
def test_bombs_and_rubbish_are_refused(text, reason):
    with pytest.raises(JsonError, match=reason):
        parse_json(text)


def test_brackets_in_strings_are_no_nesting():
    text = json.dumps({"[" * 500: '\\"' + "{" * 500, "\\": "]"})
    assert parse_json(text) == json.loads(text)


def test_files(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf[1]")
    assert load_json(path) == [1]
    with pytest.raises(JsonError, match="has 6 bytes; 5 bytes are the most"):
        load_json(path, most_bytes=5)
    with pytest.raises(JsonError, match="cannot be read: No such file"):
        load_json(tmp_path / "none.json")
    with pytest.raises(JsonError, match="cannot be read"):
        load_json(tmp_path)
    with pytest.raises(JsonError, match="cannot be read"):
        load_json("nul\0byte.json")
