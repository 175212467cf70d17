"""Classes that are held as an index: a sentence on each, and hundreds of members as one row where people read."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import polars as pl

from tasks.core.explain.plain_values import Page, every_row
from tasks.core.facts import OF_CLASS, Facts, account_parameters, priced_securities, valued_lots
from tasks.core.rules import harvest_candidates

NAMED: Final = 3
"""How many members a sentence names."""
SUMS: Final = frozenset(
    {
        *("value_usd", "weight", "target_weight", "drift", "value_after_usd", "weight_after", "drift_after"),
        *("held_usd", "room_usd", "sold_usd", "harvested_usd", "outright_usd", "bought_usd", "over_usd", "off_usd"),
    }
)
"""What of a member's row adds up to the class's."""
FLAGS: Final = frozenset({"is_out_of_band", "is_out_of_band_after", "is_binding"})
"""What is true of a class where it is of one of its members."""


def index_rows(index_baskets: pl.DataFrame, classes: Sequence[Page], facts: Facts | None = None) -> list[Page]:
    """The classes that an account holds, or should hold, as an index, of its rows of ``index_baskets``, each with a sentence.

    ``classes``: rows of ``drift``, with ``value_after_usd`` where there are trades; ``facts``: of its household, to say which harvests wait.
    ``unheld`` and ``unheld_after``: what share of the members' targets is not held (``rules.indexes``); null where nothing is asked for.
    """
    waiting = {} if facts is None else _waiting_losses(facts, index_baskets["account_id"].unique().to_list())
    found = []
    for row in every_row(index_baskets.drop("account_id").sort("asset_class")):
        members = [one for one in classes if _parent(one["asset_class"]) == row["asset_class"] != one["asset_class"]]
        count, loss = waiting.get(row["asset_class"], (0, 0.0))
        told = {
            **row,
            "unheld": _unheld(members, "value_usd"),
            "unheld_after": _unheld(members, "value_after_usd"),
            "waiting_count": count,
            "waiting_loss_usd": loss,
        }
        found.append({**told, "sentence": _sentence(told, members)})
    return found


def folded(rows: Iterable[Mapping[str, Any]]) -> list[Page]:
    """Rows of classes with the members of an index as one row, in the place of the first: sums, and empty where nothing adds up."""
    kept: dict[str, list[Page]] = {}
    for row in rows:
        kept.setdefault(_fold_key(row["asset_class"]), []).append(dict(row))
    return [_folded_row(some) if OF_CLASS in some[0]["asset_class"] else some[0] for some in kept.values()]


def folded_orders(orders: Sequence[Page], most: int) -> tuple[list[Page], list[tuple[str, list[Page]]]]:
    """Orders that are looked at one by one, and those of members of an index, by class and side with words, where there are more than ``most`` of them."""
    groups: dict[tuple[str, str], list[Page]] = {}
    for one in orders:
        name = one.get("asset_class") or ""
        if OF_CLASS in name:
            groups.setdefault((_parent(name), one["side"]), []).append(one)
    many = {key: some for key, some in groups.items() if len(some) > most}
    rest = [
        one
        for one in orders
        if (_parent(one.get("asset_class") or ""), one["side"]) not in many or OF_CLASS not in one["asset_class"]
    ]
    return rest, [
        (f"{len(some)} {side}s of members of the index that {name} is held as", some)
        for (name, side), some in many.items()
    ]


def folded_words(rows: Iterable[Mapping[str, Any]], by: Collection[str]) -> list[Page]:
    """Rows of classes with a sentence each, with members that have the same values of ``by`` as one row: some are named."""
    kept: dict[tuple[Any, ...], list[Page]] = {}
    for row in rows:
        own = _fold_key(row["asset_class"])
        key = (own, *(row[name] for name in by)) if OF_CLASS in row["asset_class"] else (own,)
        kept.setdefault(key, []).append(dict(row))
    return [
        some[0] if len(some) == 1 else {**some[0], "asset_class": _some_of(some), **_common(some)}
        for some in kept.values()
    ]


def _parent(name: str) -> str:
    return name.split(OF_CLASS, 1)[0]


def _fold_key(name: str) -> str:
    """The name of a class; all members of an index have one."""
    return f"{_parent(name)}{OF_CLASS}" if OF_CLASS in name else name


def _folded_row(rows: Sequence[Page]) -> Page:
    added = {
        name: _sum([row[name] for row in rows])
        if name in SUMS
        else any(row[name] for row in rows)
        if name in FLAGS
        else None
        for name in rows[0]
    }
    return {**added, "asset_class": f"{_parent(rows[0]['asset_class'])} ({len(rows)} of its index)"}


def _sum(values: Sequence[Any]) -> Any:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _common(rows: Sequence[Page]) -> Page:
    """What is said of several rows: drifts add up, and where a sentence or a detail is not that of all, it is the first's, and says so."""
    first = rows[0]
    found: dict[str, Any] = {name: _sum([row[name] for row in rows]) for name in first if name.startswith("drift")}
    for name in ("sentence", "detail"):
        if name in first and len({row[name] for row in rows}) > 1:
            found[name] = f"for {first['asset_class'].split(OF_CLASS, 1)[1]}, {first[name]}"
    return found


def _some_of(rows: Sequence[Page]) -> str:
    names = [row["asset_class"].split(OF_CLASS, 1)[1] for row in rows]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{_parent(rows[0]['asset_class'])}, {len(names)} of its index ({', '.join(names[:NAMED])}{more})"


def _unheld(members: Sequence[Page], value: str) -> float | None:
    """Share of the members' targets that is not held; null without targets or values."""
    asked = [(float(one["target_weight"]), one) for one in members if one["target_weight"]]
    total = sum(target for target, _ in asked)
    weight = value.replace("value", "weight").removesuffix("_usd")
    if not total or any(one.get(weight) is None for _, one in asked):
        return None
    return sum(max(target - float(one[weight]), 0.0) for target, one in asked) / total


def _sentence(row: Page, members: Sequence[Page]) -> str:
    if row["note"] is not None:
        return f"{row['asset_class']} is not held as the index {row['index_id']}: {row['note']}."
    count = row["member_count"]
    left = f", {row['left_out_count']} left out ({row['left_out_weight']:.2%} of it)" if row["left_out_count"] else ""
    parts = [
        f"{row['asset_class']} is held as the index {row['index_id']}: {count - row['left_out_count']} of {count} securities{left}."
    ]
    if row["unheld"] is not None:
        after = "" if row["unheld_after"] is None else f", {row['unheld_after']:.2%} after the trades"
        budget = row["tracking_budget"]
        most = "no tracking budget limits it" if budget is None else f"its tracking budget is {budget:.2%}"
        parts.append(f"Of what the index asks for {row['unheld']:.2%} is not held{after}; {most}.")
    if row["waiting_count"]:
        one = "1 security" if row["waiting_count"] == 1 else f"{row['waiting_count']} securities"
        parts.append(
            f"Losses of {row['waiting_loss_usd']:,.2f} USD on {one} wait: the budget has no room for their harvest."
        )
    far = sorted(members, key=lambda one: (-abs(one["drift"] or 0.0), one["asset_class"]))[:NAMED]
    named = ", ".join(f"{one['asset_class'].split(OF_CLASS, 1)[1]} {one['drift'] or 0.0:+.2%}" for one in far)
    return " ".join([*parts, f"Furthest from target: {named}."])


def _waiting_losses(facts: Facts, account_ids: Sequence[str]) -> dict[str, tuple[int, float]]:
    """By class: how many securities, and what loss, would be harvested were there no budgets, and are not."""
    members = facts.index_members
    if members["tracking_budget"].null_count() == members.height:
        return {}
    accounts, securities = account_parameters(facts), priced_securities(facts)
    lots = valued_lots(facts, securities)
    free = replace(facts, index_members=members.with_columns(tracking_budget=pl.lit(None, pl.Float64)))
    wanted, kept = (
        harvest_candidates(accounts, lots, facts=each, securities=securities, trade_date=facts.trade_date)
        for each in (free, facts)
    )
    left = wanted.join(kept, on=("account_id", "security_id", "lot_id"), how="anti")
    left = left.filter(pl.col("account_id").is_in(account_ids)).join(members, on=("account_id", "security_id"))
    by_class = left.group_by("parent_class").agg(pl.col("security_id").n_unique(), pl.col("loss_usd").sum())
    return {name: (count, loss) for name, count, loss in by_class.rows()}
