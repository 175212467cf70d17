import json

import polars as pl
import pytest

from schemas.enums import ProfileFormat
from schemas.errors import ConservationBroken
from schemas.exports import Profile
from tasks.core.export import alpaca
from tasks.core.export.package import ExportPackage
from tests.support.packages import release

PROFILE = Profile(name="broker", format=ProfileFormat.ALPACA)
LISTED = (
    ("A1", "sell", "S2", "12", "410.25"),
    ("A1", "buy", "S1", "17.123456", "289.5"),
    ("-A3", "buy", "S1", "4", "289.5"),
)


def files_of(made: ExportPackage) -> pl.DataFrame:
    return pl.concat(alpaca.files(made, PROFILE))


def reasons(made: ExportPackage) -> dict[str, str]:
    return dict(alpaca.refusals(made, PROFILE).select("order_id", "reason").iter_rows())


def test_an_account_has_a_file_and_each_line_is_the_body_of_one_request() -> None:
    assert files_of(release(LISTED)).rows() == [
        (
            "-A3.jsonl",
            1,
            '{"symbol":"VTI","side":"buy","qty":"4","type":"market","time_in_force":"day","client_order_id":"-A3-buy-S1"}\n',
        ),
        (
            "A1.jsonl",
            2,
            (
                '{"symbol":"BRK.B","side":"sell","qty":"12","type":"market","time_in_force":"day","client_order_id":"A1-sell-S2"}\n'
                '{"symbol":"VTI","side":"buy","qty":"17.123456","type":"market","time_in_force":"day","client_order_id":"A1-buy-S1"}\n'
            ),
        ),
    ]


def test_everything_but_shares_is_refused() -> None:
    assert reasons(release()) == {"A2-sell-S3": "Alpaca trades shares, VBTLX is of type mutual_fund"}
    assert len(reasons(release(LISTED, security_type="bond"))) == len(LISTED)
    assert len(reasons(release(LISTED, security_type="other"))) == len(LISTED)


@pytest.mark.parametrize(
    "symbol", ["BTC/USD", "BRK B", "BRK-B", "vti", "", "=HYPERLINK(1)", "+1", "-A3", "@x", 'A","side":"sell']
)
def test_a_symbol_that_alpaca_does_not_write_is_refused(symbol: str) -> None:
    made = release(LISTED, symbol=symbol)
    assert len(reasons(made)) == len(LISTED)
    with pytest.raises(ConservationBroken, match="cannot be written: the symbol"):
        files_of(made)


def test_an_id_of_128_characters_leaves_and_a_longer_one_is_refused() -> None:
    assert reasons(release(LISTED[:1], order_id="x" * 128)) == {}
    (reason,) = reasons(release(LISTED[:1], order_id="x" * 129)).values()
    assert reason.endswith("is too long for Alpaca: at most 128 characters")


def test_a_quote_in_an_id_does_not_end_the_text() -> None:
    (line,) = files_of(release(LISTED[:1], order_id='a"\\\n'))["content"]
    assert line.count("\n") == 1
    assert json.loads(line)["client_order_id"] == 'a"\\\n'


def test_a_formula_stands_in_no_cell_because_the_reason_is_not_written() -> None:
    assert files_of(release(LISTED, reason="=HYPERLINK(1)")).equals(files_of(release(LISTED)))


def test_the_order_of_the_books_rows_changes_no_byte() -> None:
    assert files_of(release(LISTED)).equals(files_of(release(LISTED[::-1])))


def test_nothing_leaves_nothing() -> None:
    made = release(LISTED)
    empty = ExportPackage(made.export, made.orders.clear(), made.lots.clear(), made.blocks.clear())
    assert list(alpaca.files(empty, PROFILE)) == []
    assert reasons(empty) == {}
