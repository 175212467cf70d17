import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.gate.parsing import LINE
from tasks.formats import split
from tasks.formats.split import split_delimited, split_fixed

CELLS = st.text(alphabet='ab"| \x00é\x1f', max_size=5)
QUOTED_LINES = st.lists(CELLS, min_size=1, max_size=4).map("|".join).filter(lambda line: '"' in line)


def cut(*lines: str, width: tuple[int, int] = (3, 3)) -> list[tuple[str | None, ...]]:
    fields = {"one": 1, "two": 2, "three": 3}
    return split_delimited(pl.Series(lines), fields, width, separator="|", quote='"').rows()


def test_fields_are_split_at_each_separator() -> None:
    assert cut("a|b|c", "||", " a|b |c") == [("a", "b", "c"), ("", "", ""), (" a", "b ", "c")]


def test_a_quoted_field_holds_separators_and_doubled_quotes() -> None:
    assert cut('"a|b"|"say ""x"""|c', "1|2|3") == [("a|b", 'say "x"', "c"), ("1", "2", "3")]


def test_a_quote_left_open_ends_with_its_line_and_takes_no_other() -> None:
    assert cut('a|"b|c', "d|e|f", 'g|"h"|i') == [
        ("a", '"b', "c", 'a|"b|c'),
        ("d", "e", "f", None),
        ("g", "h", "i", None),
    ]


def test_lines_of_the_wrong_length_keep_their_place_their_text_and_their_first_fields() -> None:
    assert cut("a|b", "d|e|f", "g|h|i|j", '"k"|l') == [
        ("a", "b", None, "a|b"),
        ("d", "e", "f", None),
        ("g", "h", "i", "g|h|i|j"),
        ("k", "l", None, '"k"|l'),
    ]


def test_a_range_of_lengths_is_taken() -> None:
    assert cut("a|b", "d|e|f", width=(2, 3)) == [("a", "b", None), ("d", "e", "f")]


def test_without_a_quote_sign_quotes_are_text() -> None:
    assert split_delimited(pl.Series(['"a|b"']), {"one": 1}, (2, 2), separator="|", quote="").rows() == [('"a',)]


@given(st.lists(QUOTED_LINES, min_size=1, max_size=6))
def test_lines_with_quotes_read_the_same_in_bulk_and_one_by_one(lines: list[str]) -> None:
    bulk = split._in_bulk(pl.Series(lines), 3, "|", '"')
    assert bulk is None or bulk.equals(split._one_by_one(lines, 3, "|", '"'), null_equal=True)


@given(st.lists(st.lists(st.text(alphabet='ab"| é', max_size=4), min_size=3, max_size=3), min_size=1, max_size=6))
def test_what_was_quoted_is_read_back(rows: list[list[str]]) -> None:
    quoted = ["|".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    assert cut(*quoted) == [tuple(row) for row in rows]


def test_one_quoted_line_alone_among_others_reads_as_among_many() -> None:
    lines = ['"a"|b|c', '"a|b|c', 'x|"y"|z']
    assert [row[:3] for row in cut(*lines)] == [cut(line)[0][:3] for line in lines]


def test_fixed_fields_are_counted_in_characters() -> None:
    fields = {"name": (1, 4), "code": (5, 2)}
    assert split_fixed(pl.Series(["Café01", "abcdef"]), fields, (6, 6)).rows() == [("Café", "01"), ("abcd", "ef")]


def test_a_fixed_line_of_another_length_is_marked() -> None:
    split_lines = split_fixed(pl.Series(["abcdef", "abcde", "abcdefg"]), {"code": (5, 2)}, (6, 6))
    assert split_lines[LINE].to_list() == [None, "abcde", "abcdefg"]
    assert LINE not in split_fixed(pl.Series(["abcdef", "abcde"]), {"code": (5, 2)}, (5, 6)).columns
