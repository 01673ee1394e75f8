"""Cutting YAML text: what is added can be taken out again, byte by byte, however the rest is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modplural.yaml_lines import YamlError, read_yaml
from modplural.yaml_splicing import add_entry, remove_entry

BLOCK = """\
# The people of the village.
who:
  # first
  - name: elders   # over seventy
    said: >-
      Old
      people.
    more: It goes
      on here.

  # second
  - name: 'new'
    more: |
      Lines.
after: {a: [1,
  2]}
"""
STYLES = {
    "block": BLOCK,
    "no indentation": "who:\n- name: a\n  more:\n  - b: c\n    d: e\n# the end\n",
    "no line break at the end": "who:\n  - name: a",
    "windows": BLOCK.replace("\n", "\r\n"),
    "entries in braces": "who:\n  - {name: a, more: [b, c]}  # the first\n  - {name: b}\n",
    "dash on its own line": "who:\n  -\n    name: a\n  - # here\n    name: b\nlast: 1\n",
    "comment inside, at the end": "who:\n- name: a\n  # more: b\n\n  # and more\n# the end\n",
    "comment inside, without a line break": "who:\n  - name: a\n    # more: b",
    "in brackets": "who: [{name: a}, {name: b}]\nafter: 1\n",
    "in brackets, one a line": "who: [\n  {name: a},  # first\n  {name: b},\n]\n",
    "in brackets, with a comment": "who: [\n  {name: a},\n  {name: b}  # second\n]\n",
    "in brackets, with a comma and a comment": "who: [\r\n  {name: a},\r\n  {name: b},  # second\r\n]\r\n",
    "in brackets, several in a line": "who: [{name: a}, {name: b}, # both\n  {name: c}, {name: d} # both\n  ]\n",
    "anchor": "who: &all\n  - &one {name: a}\n  - {name: b}\n",
}

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=200)
entries = st.dictionaries(st.sampled_from(["name", "said", "more"]), texts, min_size=1)


@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
@given(entry=entries)
def test_what_was_added_can_be_removed_again(text: str, entry: dict[str, str]) -> None:
    added = add_entry(text, "who", entry)
    before, after = read_yaml(text).value, read_yaml(added).value
    assert after == before | {"who": [*before["who"], entry]}
    assert remove_entry(added, "who", len(before["who"])) == text


@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
def test_only_an_entry_itself_is_removed(text: str) -> None:
    before = read_yaml(text).value
    for index in range(len(before["who"]) if len(before["who"]) > 1 else 0):
        left = before["who"][:index] + before["who"][index + 1 :]
        assert read_yaml(remove_entry(text, "who", index)).value == before | {"who": left}


def test_comments_between_entries_stay() -> None:
    removed = remove_entry(BLOCK, "who", 0)
    assert removed == BLOCK[: BLOCK.index("  - name: elders")] + BLOCK[BLOCK.index("\n  # second") :]
    assert "# first" in removed
    assert "over seventy" not in removed


@pytest.mark.parametrize(
    ("text", "without_first", "with_third"),
    [
        (
            "who:\n  - name: a\n    # of a\n\n    # too\n  # of b\n  - name: b\n    # of b\n# the end\n",
            "who:\n  # of b\n  - name: b\n    # of b\n# the end\n",
            "    # of b\n  - name: c\n# the end\n",
        ),
        (
            "who:\n- {name: a}\n  # of a\n- {name: b}\n  # of b",
            "who:\n- {name: b}\n  # of b",
            "- {name: b}\n  # of b\n- {name: c}",
        ),
        (
            "who: [\n  {name: a},  # of a\n  {name: b}  # of b\n]\n",
            "who: [\n  {name: b}  # of b\n]\n",
            "  {name: b},  # of b\n  {name: c}\n]\n",
        ),
        (
            "who: [{name: a},  # of a\n  {name: b},  # of b\n]\n",
            "who: [\n  {name: b},  # of b\n]\n",
            "  {name: b},  # of b\n  {name: c},\n]\n",
        ),
    ],
)
def test_a_comment_goes_and_stays_with_its_entry(text: str, without_first: str, with_third: str) -> None:
    assert remove_entry(text, "who", 0) == without_first
    assert add_entry(text, "who", {"name": "c"}).endswith(with_third)


def test_blank_lines_that_meet_become_one() -> None:
    text = "who:\n  - name: a\n\n  - name: b\n\n  - name: c\n"
    assert remove_entry(text, "who", 1) == "who:\n  - name: a\n\n  - name: c\n"


def test_an_entry_looks_like_the_last_one() -> None:
    assert add_entry(STYLES["entries in braces"], "who", {"name": "c", "said": "No, never."}).endswith(
        "  - {name: b}\n  - {name: c, said: 'No, never.'}\n"
    )
    assert add_entry(BLOCK, "who", {"name": "c", "said": "No."}).endswith(
        "      Lines.\n  - name: c\n    said: No.\nafter: {a: [1,\n  2]}\n"
    )
    assert "  {name: b},\n  {name: c},\n]" in add_entry(STYLES["in brackets, one a line"], "who", {"name": "c"})


@pytest.mark.parametrize("text", ["", "who: []", "who: a", "- who", "other: [a]"])
def test_a_text_without_such_a_list_is_refused(text: str) -> None:
    with pytest.raises(YamlError, match="who is no list with entries"):
        add_entry(text, "who", {"name": "a"})
