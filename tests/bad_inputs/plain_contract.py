"""The landing contract once more, in plain Python: what must hold of every row that was accepted, and of who may trade.

Written apart from ``schemas.landing`` and from the gate, and shares nothing with them but the names of tables and columns.
"""

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = Sequence[Row]
Holds: TypeAlias = Callable[[Any], bool]

SEPARATORS = "\x1c\x1d\x1e\x1f"  # blanks to Python, and to nobody else


def is_identifier(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value)) and value not in {".", ".."}


def is_label(value: Any) -> bool:
    ends = (value[0], value[-1]) if value else " "
    is_tight = all(end in SEPARATORS or not end.isspace() for end in ends)
    return isinstance(value, str) and 1 <= len(value) <= 64 and is_tight and "\n" not in value and "\0" not in value


def is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def is_truth(value: Any) -> bool:
    return value is True or value is False


def is_day(value: Any) -> bool:
    return isinstance(value, date) and 1900 <= value.year <= 9999


def one_of(*words: str) -> Holds:
    return lambda value: value in words


def exact(low: Decimal | int | None = None, *, is_open: bool = False) -> Holds:
    def holds(value: Any) -> bool:
        is_money = isinstance(value, Decimal) and abs(value) < 10**12 and value == round(value, 6)
        return is_money and (low is None or value > low or (value == low and not is_open))

    return holds


def real(low: float, high: float = math.inf, *, is_below: bool = False) -> Holds:
    def holds(value: Any) -> bool:
        is_within = low <= value <= high and not (is_below and value == high)
        return isinstance(value, float) and math.isfinite(value) and is_within

    return holds


def whole(low: int, high: float = math.inf) -> Holds:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def maybe(holds: Holds) -> Holds:
    return lambda value: value is None or holds(value)


TAX = one_of("taxable", "tax_deferred", "tax_exempt")
FRACTION = real(0, 1)
CONTRACT: Mapping[str, Mapping[str, Holds]] = {
    "accounts": {
        "account_id": is_identifier,
        "household_id": maybe(is_identifier),
        "custodian": is_label,
        "tax_status": TAX,
        "model_id": is_identifier,
        "policy_id": is_identifier,
        "short_term_rate": FRACTION,
        "long_term_rate": FRACTION,
        "cash_reserve_usd": exact(0),
        "ytd_short_gain_usd": exact(),
        "ytd_long_gain_usd": exact(),
        "loss_carryforward_short_usd": maybe(exact(0)),
        "loss_carryforward_long_usd": maybe(exact(0)),
    },
    "lots": {
        "account_id": is_identifier,
        "security_id": is_identifier,
        "lot_id": is_identifier,
        "quantity": exact(0),
        "unit_cost_usd": maybe(exact(0)),
        "acquired_date": maybe(is_day),
        "is_frozen": maybe(is_truth),
    },
    "cash": {"account_id": is_identifier, "settled_usd": exact(), "pending_usd": exact()},
    "flows": {"account_id": is_identifier, "flow_date": is_day, "amount_usd": exact()},
    "tilts": {
        "account_id": is_identifier,
        "asset_class": is_label,
        "delta_weight": real(-1, 1),
        "exclude": maybe(lambda value: all(is_identifier(each) for each in value.split("|"))),
    },
    "direct_indexes": {
        "account_id": is_identifier,
        "asset_class": is_label,
        "index_id": maybe(is_identifier),
        "tracking_budget": maybe(real(0, 1)),
        "min_weight": maybe(real(0, 1)),
        "exclude": maybe(lambda value: all(is_identifier(each) for each in value.split("|"))),
    },
    "account_totals": {"account_id": is_identifier, "value_usd": maybe(exact()), "lot_count": maybe(whole(0))},
    "securities": {
        "security_id": is_identifier,
        "symbol": is_label,
        "name": is_text,
        "asset_class": is_label,
        "quantity_step": exact(0, is_open=True),
        "half_spread_bps": real(0, 10_000, is_below=True),
        "is_tradable": is_truth,
        "price_factor": maybe(exact(0, is_open=True)),
    },
    "prices": {"security_id": is_identifier, "price_usd": exact(0), "price_date": is_day},
    "model_targets": {
        "model_id": is_identifier,
        "asset_class": is_label,
        "target_weight": FRACTION,
        "absolute_band": maybe(real(0)),
        "relative_band": maybe(real(0)),
    },
    "policies": {
        "policy_id": is_identifier,
        "tracking_penalty": maybe(real(0.0001, 1e6)),
        "trade_to": maybe(FRACTION),
        "is_harvesting": maybe(is_truth),
        "max_orders": maybe(whole(1, 10**6)),
        "wash_sale_days": maybe(whole(0, 366)),
        "proposal_ttl_hours": maybe(real(0.01, 8784)),
    },
    "buy_list": {
        "model_id": is_identifier,
        "asset_class": is_label,
        "security_id": is_identifier,
        "rank": whole(1),
        "tax_status": maybe(TAX),
    },
    "restrictions": {
        "account_id": maybe(is_identifier),
        "security_id": is_identifier,
        "rule": one_of("no_buy", "no_sell", "no_trade", "no_new", "hold_range"),
        "until_date": maybe(is_day),
        "min_quantity": maybe(exact(0)),
        "max_quantity": maybe(exact(0)),
        "min_value_usd": maybe(exact(0)),
        "max_value_usd": maybe(exact(0)),
    },
    "trades": {
        "account_id": is_identifier,
        "security_id": is_identifier,
        "trade_date": is_day,
        "side": one_of("buy", "sell"),
        "quantity": exact(0, is_open=True),
        "price_usd": exact(0, is_open=True),
        "realized_gain_usd": maybe(exact()),
    },
    "households": {"household_id": is_identifier, "model_id": is_identifier, "policy_id": is_identifier},
    "location_preferences": {
        "model_id": is_identifier,
        "asset_class": is_label,
        "tax_status": TAX,
        "cost_bps": real(0, 10_000, is_below=True),
    },
    "index_weights": {
        "index_id": is_identifier,
        "security_id": is_identifier,
        "weight": real(5e-324, 1),
        "weight_date": is_day,
    },
}
"""What each cell of an accepted row holds. Columns left out are words whose list grows."""

KEYS: Mapping[str, tuple[str, ...]] = {
    "tilts": ("account_id", "asset_class"),
    "direct_indexes": ("account_id", "asset_class"),
    "index_weights": ("index_id", "security_id"),
    "flows": ("account_id", "flow_date", "amount_usd"),
    "account_totals": ("account_id",),
    "accounts": ("account_id",),
    "lots": ("account_id", "security_id", "lot_id"),
    "cash": ("account_id",),
    "securities": ("security_id",),
    "prices": ("security_id",),
    "model_targets": ("model_id", "asset_class"),
    "policies": ("policy_id",),
    "buy_list": ("model_id", "asset_class", "security_id", "tax_status"),
    "households": ("household_id",),
    "location_preferences": ("model_id", "asset_class", "tax_status"),
}


def row_faults(table: str, rows: Rows) -> Iterator[str]:
    """What is wrong with accepted rows, each by itself and by their key."""
    for row in rows:
        for column, holds in CONTRACT[table].items():
            if not holds(row[column]):
                yield f"{table} row {row['row_number']}: {column} is {row[column]!r}"
    keys = Counter(tuple(row[name] for name in KEYS[table]) for row in rows) if table in KEYS else Counter()
    yield from (f"{table}: the key {key} is there {count} times" for key, count in keys.items() if count > 1)


def trading_faults(accepted: Mapping[str, Rows], delivered: Mapping[str, Rows], lost: set[str]) -> Iterator[str]:
    """What is wrong with accounts that may trade (accepted, and not ``lost``): what they refer to, and what they lack."""
    known = {row["security_id"] for row in accepted["securities"]}
    bonds = [row for row in accepted["securities"] if row["security_type"] == "bond"]
    yield from (f"the bond {row['security_id']} has no factor" for row in bonds if row["price_factor"] is None)
    priced = known & {row["security_id"] for row in accepted["prices"]}
    policies = {row["policy_id"] for row in accepted["policies"]}
    models: dict[str, list[Row]] = {}
    for row in accepted["model_targets"]:
        models.setdefault(row["model_id"], []).append(row)
    accounts = {row["account_id"] for row in delivered["accounts"]}
    for table in ("lots", "cash", "trades"):
        strays = {row["account_id"] for row in accepted.get(table, ())} - accounts
        yield from (f"{table} has accepted rows of {name}, which is no account" for name in strays)
    for account in accepted["accounts"]:
        name = account["account_id"]
        if name in lost:
            continue
        targets = models.get(account["model_id"], [])
        if abs(sum(row["target_weight"] for row in targets) - 1) > 1.1e-6:
            yield f"the model of {name} does not sum to 1"
        if not any(row["asset_class"] == "cash" for row in targets):
            yield f"the model of {name} has no cash"
        if account["policy_id"] not in policies:
            yield f"{name} has no policy"
        yield from _holding_faults(name, accepted, delivered, priced)


def _holding_faults(
    name: str, accepted: Mapping[str, Rows], delivered: Mapping[str, Rows], priced: set[str]
) -> Iterator[str]:
    lots, cash = (_of(name, accepted[table]) for table in ("lots", "cash"))
    for table, kept in (("lots", lots), ("cash", cash)):
        if len(kept) != len(_of(name, delivered[table])):
            yield f"{name} trades though it lost a row of {table}"
    if len(cash) != 1:
        yield f"{name} trades with {len(cash)} rows of cash"
    if any(row["security_id"] not in priced for row in lots if row["quantity"] != 0):
        yield f"{name} trades with a lot that has no price"


def _of(account: str, rows: Rows) -> list[Row]:
    return [row for row in rows if row["account_id"] == account]


def text_lines(content: bytes) -> list[str]:
    """Lines of a CSV that are not empty."""
    return [line for line in re.split(r"\r\n|\n|\r", content.decode("utf-8-sig")) if line]


def misread(table: str, content: bytes, rows: Rows) -> Iterator[str]:
    """Accepted rows that do not say what stands in their line of the file."""
    header, *lines = text_lines(content)
    names = [name.strip() for name in next(csv.reader([header]))]
    for row in rows:
        cells = next(csv.reader([lines[row["row_number"] - 1]]))
        if len(cells) != len(names):
            yield f"row {row['row_number']} is accepted though its line has {len(cells)} cells"
            continue
        stood = dict(zip(names, cells, strict=True))
        for column in CONTRACT[table]:
            if not _says(stood.get(column, ""), row[column]):
                yield f"row {row['row_number']}: {column} is {row[column]!r}, in the file {stood.get(column)!r}"


def _says(text: str, value: Any) -> bool:
    """Whether a cell of text is a fair way to write the value."""
    plain = re.sub(r"^[\s\u180e\u200b-\u200d\u2060\ufeff]+|[\s\u180e\u200b-\u200d\u2060\ufeff]+$", "", text)
    match value:
        case None:
            return not plain
        case bool():
            return plain.lower() in ({"true", "1"} if value else {"false", "0"})
        case str():
            return plain == value
        case date():
            return plain == value.isoformat()
        case float():
            return bool(plain) and float(plain) == value
        case _:  # an amount that may be blank is 0
            return abs(Decimal(plain or "0") - value) <= Decimal("0.0000005")
