"""YAML as it is read here: plain values, strictly, with lines."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from modplural.yaml_lines import YamlError, read_yaml

SOURCE = """\
base:
  model: openai/some
communities:
  - name: care
    examples:
      - {query: one,
         message: two}
"""

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab:#- \n'\"é"),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text("abc", max_size=3), values, max_size=3),
)


@given(value=plain, flow=st.booleans())
def test_plain_values_are_read_as_they_were_written(value: object, flow: bool) -> None:
    assert read_yaml(yaml.safe_dump(value, default_flow_style=flow)).value == value


@pytest.mark.parametrize(
    ("location", "line"),
    [
        ((), 1),
        (("base", "model"), 2),
        (("communities",), 3),
        (("communities", 0), 4),
        (("communities", 0, "examples", 0, "message"), 7),
        (("base", "missing"), 1),
        (("communities", 5), 3),
        (("communities", "name"), 3),
        (("missing",), 1),
    ],
)
def test_a_location_has_a_line(location: tuple[int | str, ...], line: int) -> None:
    assert read_yaml(SOURCE).line(location) == line


def test_an_empty_document_has_a_line() -> None:
    document = read_yaml("# nothing\n")
    assert (document.value, document.line(("base",))) == (None, 1)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "'a' is given twice, first in line 1"),
        ("a: 1\nb: {a: 1, a: 2}\n", 2, "'a' is given twice, first in line 2"),
        ("a: [1\n", 2, "flow sequence"),
        ("a: 1\n--- \nb: 2\n", 2, "single document"),
        ("a: !!python/object/apply:os.system [ls]\n", 1, "could not determine a constructor"),
        ("a: 1\nb: !!int x\n", 2, "'x' is no value of the type tag:yaml.org,2002:int"),
        ("a: !!int ''\n", 1, "is no value of the type"),
        ("a: !!bool x\n", 1, "is no value of the type"),
        ("a: !!map x\n", 1, "expected a mapping node"),
        ("a: 2001-13-41\n", 1, "could not determine a constructor"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", 2, "could not determine a constructor"),
        ("{[a]: b}", 1, "unhashable key"),
        ("a: *x", 1, "undefined alias"),
        ("a: \x00", None, "special characters are not allowed"),
        ("[" * 100_000, None, "nested too deeply"),
    ],
)
def test_what_is_not_read_says_where_and_why(text: str, line: int | None, problem: str) -> None:
    with pytest.raises(YamlError, match=problem) as caught:
        read_yaml(text)
    assert caught.value.line == line
