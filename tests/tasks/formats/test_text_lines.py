import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InputRefused
from tasks.formats.text_lines import whole_lines


def text_of(content: bytes, *, block: int = 1 << 20, longest: int = 1 << 20) -> bytes:
    parts = list(whole_lines("lots.csv", io.BytesIO(content).read, block_bytes=block, longest_line=longest))
    assert all(part.endswith((b"\n", b"\r")) for part in parts)
    return b"".join(parts)


def ended(content: bytes) -> bytes:
    """The content with a line end at its end; half a line end counts as none."""
    return content + b"\n" * (not content.endswith(b"\n") and content != b"")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")), st.integers(1, 9))
def test_text_in_utf_8_passes_whole_and_its_last_line_is_ended(text: str, block: int) -> None:
    assert text_of(text.encode(), block=block) == ended(text.encode())


@given(st.binary(max_size=30), st.integers(1, 9))
def test_what_is_refused_does_not_depend_on_where_blocks_end(content: bytes, block: int) -> None:
    is_text = b"\0" not in content and content.decode("utf-8", errors="replace").encode() == content
    if is_text:
        assert text_of(content, block=block) == ended(content)
    else:
        with pytest.raises(InputRefused, match=r"lots\.csv line \d+ (holds a NUL byte|is not UTF-8)"):
            text_of(content, block=block)


@pytest.mark.parametrize("block", [1, 2, 3, 100])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    ("bad", "found"), [(b"caf\xe9!", r"is not UTF-8 \(found the byte 0xE9\)"), (b"c\0", "holds a NUL byte")]
)
def test_the_line_of_a_bad_byte_is_named(block: int, end: bytes, bad: bytes, found: str) -> None:
    with pytest.raises(InputRefused, match=rf"^lots\.csv line 3 {found}; needed text in UTF-8"):
        text_of(end.join([b"a", b"b\xc3\xa9", bad, b"d"]), block=block)


def test_a_character_cut_off_by_the_end_of_the_file_is_no_utf_8() -> None:
    with pytest.raises(InputRefused, match="line 2 is not UTF-8"):
        text_of(b"a\nb\xc3")


@pytest.mark.parametrize("block", [1, 4, 5])
def test_a_line_may_be_as_long_as_allowed_and_no_longer(block: int) -> None:
    assert text_of(b"12345\n12345\r12345", block=block, longest=5).endswith(b"12345\n")
    with pytest.raises(InputRefused, match=r"line 2 is longer than \S+ MiB; needed one row a line"):
        text_of(b"1\n123456\n", block=block, longest=5)
