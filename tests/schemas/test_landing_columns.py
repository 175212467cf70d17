"""The columns that are written down for speed are those of the contract."""

from schemas.landing import CONTRACTS
from schemas.landing_columns import LANDING, SHARDED_TABLES


def test_columns_types_and_their_order_are_those_of_the_contract() -> None:
    said = {
        table: [(name, column.dtype.type) for name, column in contract.to_schema().columns.items()]
        for table, contract in CONTRACTS.items()
    }
    assert {table: list(columns.items()) for table, columns in LANDING.items()} == {
        table: [(name, kind() if isinstance(kind, type) else kind) for name, kind in columns]
        for table, columns in said.items()
    }
    assert list(LANDING) == list(CONTRACTS)
    assert set(SHARDED_TABLES) <= LANDING.keys()
