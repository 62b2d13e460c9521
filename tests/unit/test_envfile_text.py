"""Editing the text of a `.env` file: keys are set, and nothing else is touched."""

import io
import subprocess

import dotenv
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devdb.envfile import Action, edit
from devdb.errors import UsageError

URL = "postgresql://devdb:s%40cret@127.0.0.1:15432/main"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "A=x\n"),
        ("A=\n", "A=x\n"),
        ("A=old", "A=x"),
        ("A=old\r\nB=1\r\n", "A=x\r\nB=1\r\n"),
        ("A=old\rB=1\r", "A=x\rB=1\r"),
        ("B=1", "B=1\nA=x\n"),
        ("B=1\r\nC=2", "B=1\r\nC=2\r\nA=x\r\n"),
        ("\ufeffA=old\n", "\ufeffA=x\n"),
        ("\ufeff", "\ufeffA=x\n"),
        ("export A=old\n", "export A=x\n"),
        ("  export  A=old\n", "  export  A=x\n"),
        ("A = old\n", "A = x\n"),
        ("A: old\n", "A: x\n"),
        ("A=old # why\n", "A=x # why\n"),
        ("A='old' # why\n", "A='x' # why\n"),
        ("A= # why\n", "A= x # why\n"),
        ("A=#why\n", "A=x #why\n"),
        ("A=o#d # why\n", "A=x # why\n"),
        ("A=old   \n", "A=x   \n"),
        ('A="o # d" # why\n', 'A="x" # why\n'),
        ('A="one\ntwo\nA=three"\nB=1\n', 'A="x"\nB=1\n'),
        ("A='one\r\ntwo'  # why\r\nB=1\r\n", "A='x'  # why\r\nB=1\r\n"),
        ("A=`old`\n", "A=x\n"),
        ('B="one\nA=two"\n', 'B="one\nA=two"\nA=x\n'),
        ('B="say \\"\nA=two"\n', 'B="say \\"\nA=two"\nA=x\n'),
        ("# A=old\n#A=old\n", "# A=old\n#A=old\nA=x\n"),
        ("# it's\nA=old\n# isn't\n", "# it's\nA=x\n# isn't\n"),
        ("A=1\nB=2\nexport A='3'\n", "A=x\nB=2\nexport A='x'\n"),
        ("AA=1\nB_A=2\n", "AA=1\nB_A=2\nA=x\n"),
        ('A="never closed\nB=1\n', "A=x\nB=1\n"),
        ("A='it''s'\n", "A=x\n"),
    ],
)
def test_sets_the_key_and_keeps_the_rest(before: str, after: str) -> None:
    assert edit(before, {"A": "x"}).text == after


def test_says_what_became_of_each_key() -> None:
    before = f"A=postgres://u:pw@h/d\nB={URL}\nA=postgres://u:pw2@h/d\nC=hunter2\n"
    new = {"A": URL, "B": URL, "C": URL, "D": URL}
    changes = edit(before, new).changes
    assert [(c.key, c.action, c.old, c.places) for c in changes] == [
        ("A", Action.REPLACED, "postgres://u:***@h/d", 2),
        ("B", Action.UNCHANGED, None, 1),
        ("C", Action.REPLACED, "***", 1),
        ("D", Action.ADDED, None, 1),
    ]


def test_diff_shows_new_values_and_masks_old_ones() -> None:
    before = f"X=1\nA=postgres://u:pw@h/d # c\nC=hunter2\nB={URL}\n"
    assert edit(before, {"A": URL, "C": URL, "B": URL}).diff == (
        f"-A=postgres://u:***@h/d # c\n-C=***\n+A={URL} # c\n+C={URL}\n"
    )


def test_values_are_quoted_only_where_some_reader_needs_it() -> None:
    values = {"A": URL, "B": f"{URL}?a=1&b=2", "C": 'say "hi"', "D": "it's", "E": "", "F": "x:~y"}
    assert edit("", values).text == (
        f'A={URL}\nB="{URL}?a=1&b=2"\nC=\'say "hi"\'\nD="it\'s"\nE=\nF="x:~y"\n'
    )


@pytest.mark.parametrize("value", ["a$b", "a\\b", "a`b", "a\nb", "a\0b", "a'b\"c"])
def test_refuses_values_that_readers_disagree_about(value: str) -> None:
    with pytest.raises(UsageError, match="disagree"):
        edit("", {"A": value})


@pytest.mark.parametrize("key", ["", "1A", "A B", "A=B", "Ä"])
def test_refuses_keys_that_are_none(key: str) -> None:
    with pytest.raises(UsageError, match="cannot be a key"):
        edit("", {key: "x"})


def test_refuses_a_file_whose_open_quote_would_swallow_the_new_line() -> None:
    with pytest.raises(UsageError, match="never closed"):
        edit('B="open\n', {"A": "#x"})


def test_own_comment_comes_changes_and_goes_with_the_value() -> None:
    once = edit("# mine\nB=1\n", {"A": "x"}, comments={"A": "expires at noon"})
    assert once.text == "# mine\nB=1\n# devdb: expires at noon\nA=x\n"
    later = edit(once.text, {"A": "y"}, comments={"A": "expires at one"})
    assert later.text == "# mine\nB=1\n# devdb: expires at one\nA=y\n"
    assert edit(later.text, {"A": "x", "B": "1"}).text == "# mine\nB=1\nA=x\n"


def test_other_peoples_comments_stay_above_the_key() -> None:
    before = "# the database\n  A=old\n"
    after = edit(before, {"A": "x"}, comments={"A": "temporary"}).text
    assert after == "# the database\n  # devdb: temporary\n  A=x\n"


keys = st.sampled_from(["A", "B", "DATABASE_URL", "X.Y", "Z-1"])
values = st.text(st.sampled_from("ab1:/@%?=&+ #'\"~\\$é"), max_size=8)
spaces = st.sampled_from(["", "", " ", "\t"])
quoted = st.one_of(
    values.map(lambda v: v.replace("'", "").replace("\\", "")).map("'{}'".format),
    values.map(lambda v: v.replace('"', "").replace("\\", "")).map('"{}"'.format),
    st.lists(st.sampled_from(["A=1", "x", "# y", ""]), min_size=2, max_size=3).map(
        lambda lines: '"' + "\n".join(lines) + '"'
    ),
)
assignments = st.tuples(
    spaces,
    st.sampled_from(["", "", "export "]),
    keys,
    st.sampled_from(["=", "=", " = "]),
    quoted | st.sampled_from(["", "plain", URL]),
    st.sampled_from(["", "  ", " # why"]),
).map("".join)
lines = assignments | st.sampled_from(["", "# A=1", "#", "   ", "# it's", "set -a"])
newlines = st.sampled_from(["\n", "\n", "\r\n"])


@st.composite
def files(draw: st.DrawFn) -> str:
    newline = draw(newlines)
    text = newline.join(draw(st.lists(lines, max_size=6))).replace("\n", newline)
    text = text.replace("\r\r", "\r")
    return draw(st.sampled_from(["", "\ufeff"])) + text + draw(st.sampled_from(["", newline]))


def parsed(text: str) -> dict[str, str | None]:
    stream = io.StringIO(text.removeprefix("\ufeff"), newline="")
    return dict(dotenv.dotenv_values(stream=stream, interpolate=False))


settable = values.filter(lambda v: not set("\\$") & set(v) and not {"'", '"'} <= set(v))


@given(before=files(), new=st.dictionaries(keys.filter(str.isidentifier), settable, max_size=3))
@example(before="A=1", new={"A": "#"})
def test_an_independent_reader_finds_the_new_values_and_the_old_others(
    before: str, new: dict[str, str]
) -> None:
    after = edit(before, new).text
    assert parsed(after) == {**parsed(before), **new}


@given(before=files(), new=st.dictionaries(keys.filter(str.isidentifier), settable, max_size=3))
def test_twice_is_once(before: str, new: dict[str, str]) -> None:
    once = edit(before, new, comments=dict.fromkeys(new, "note"))
    twice = edit(once.text, new, comments=dict.fromkeys(new, "note"))
    assert twice.text == once.text
    assert {change.action for change in twice.changes} <= {Action.UNCHANGED}
    assert twice.diff == ""


@given(before=st.text(st.sampled_from("AB=\n\r'\"`#\\ é\ufeffx$:"), max_size=40))
def test_any_other_line_of_any_text_stays_as_it_is(before: str) -> None:
    """Whatever the text: setting a key that is nowhere in it only adds a line."""
    after = edit(before, {"NEW": URL}).text
    assert after.startswith(before)
    assert after[len(before) :].strip("\r\n") == f"NEW={URL}"


@given(new=st.dictionaries(st.sampled_from(["K", "L"]), settable, min_size=1))
def test_a_shell_reads_the_same(new: dict[str, str]) -> None:
    text = edit("", new).text
    script = text + "".join(f'printf "%s\\0" "${key}"\n' for key in new)
    out = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout
    assert out.decode().split("\0")[:-1] == list(new.values())
