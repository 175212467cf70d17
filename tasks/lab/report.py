"""A study as files for people outside: an HTML page and Parquet tables, each stamped as hypothetical with criteria, assumptions and risks.

The stamp is what rule 206(4)-1 of the SEC (17 CFR 275.206(4)-1(d)(6), (e)(8)) wants beside hypothetical performance: enough to understand the criteria used and
assumptions made, and the risks and limits of relying on it. It stands in the page, and in the metadata of each Parquet file; every row says ``is_hypothetical``.
"""

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
import polars.selectors as cs

from schemas.errors import WrongUsage
from schemas.lab import Study
from schemas.lab_tables import LAB
from schemas.settings import Settings
from tasks.core.lab import step_count, steps_per_year
from tasks.lab.charts import StudyPicture, study_pictures
from tasks.lab.compare import SHORT, compared, policies_of, policy_table
from tasks.lab.study import StudyPlan, load_plan
from tasks.runtime import versions
from warehouse.lake import open_lake

TITLE: Final = "Hypothetical performance: no account has had these results"
RISKS: Final = (
    "These figures were computed after the fact by a model and are not the record of any account; money was never at risk.",
    "The policies were chosen knowing the past. What did best here need not do best again; differences marked not distinguishable are noise.",
    "Trades are made at the prices of the day, at half spreads that are the same every day; larger spreads in a crisis are not in them.",
    "Fees of advisers and custodians, and taxes other than those named, are not in them.",
    "Hypothetical performance must not be shown to people for whom it is not relevant, and never without these words.",
)
ORDER: Final[Mapping[str, tuple[str, ...]]] = {
    "lab_policies": ("policy_id",),
    "lab_years": ("policy_id", "year"),
    "lab_paths": ("policy_id", "path_number"),
    "lab_accounts": ("policy_id", "account_id"),
    "lab_left_out": ("account_id",),
    "lab_gaps": ("policy_id",),
}
"""Public tables of a study, and the order of their rows."""
ENGINE: Final = "Lots, netting, carried losses and wash sales are those of the program's own engine."
PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 90em; margin: 2em auto; padding: 0 1em; color: #1b1b1b; background: #fff; }}
.stamp {{ border: 3px solid #a40000; padding: .5em 1em; }} .stamp h2 {{ color: #a40000; margin: 0; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }} td, th {{ border: 1px solid #bbb; padding: .2em .5em; text-align: left; }}
</style>
<h1>{name}</h1>
<section class="stamp"><h2>{stamp}</h2>{criteria}{assumptions}{risks}</section>
<h2>Policies</h2><p>In brackets: the difference to the reference on the same paths, and its standard error.</p>{policies}
{pictures}
<h2>Every measure against the reference</h2>{measures}
<p>Study {study_id}, made by {made_by}.</p>
</html>
"""


def export_study(settings: Settings, study_id: str, folder: Path) -> list[Path]:
    """Write ``study.html`` and a Parquet file of each public table to a folder, which is made; the files.

    Raises
    ------
    WrongUsage
        The study is not finished.
    """
    lake = open_lake(settings)
    plan, policies = load_plan(settings, study_id), policies_of(settings, study_id)
    words = stamp(plan)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for table, keys in ORDER.items():
        rows = lake.read(table, study_id).select(list(LAB[table])).sort(keys)
        if rows.is_empty():
            continue
        if not rows["is_hypothetical"].all():
            raise WrongUsage(
                f"{table} has rows that are not marked hypothetical\n\nHint: the lake was changed by hand; run the study again."
            )
        path = folder / f"{table}.parquet"
        rows.write_parquet(path, metadata={"hypothetical": json.dumps(words, sort_keys=True)})
        written.append(path)
    pictures = study_pictures(plan, policies, lake.read("lab_years", study_id), lake.read("lab_gaps", study_id))
    page = folder / "study.html"
    page.write_text(study_page(plan, policies, words, pictures), encoding="utf-8")
    return [page, *written]


def stamp(plan: StudyPlan) -> dict[str, Any]:
    """``title``, and lists of sentences: ``criteria``, ``assumptions``, ``risks``."""
    return {"title": TITLE, "criteria": criteria(plan), "assumptions": assumptions(plan), "risks": list(RISKS)}


def criteria(plan: StudyPlan) -> list[str]:
    """What was tried, and how it is compared."""
    points, study = plan.points, plan.study
    tried = "; ".join(f"{name}: {', '.join(map(str, values))}" for name, values in study.grid.ordered().items())
    return [
        f"{len(points)} policies were tried, all that can be made of {tried}. None was left out.",
        f"Each is compared with {points[0].policy_id} on the same {plan.path_count:,} courses of the market of {step_count(study, plan.history) / steps_per_year(study, plan.history):.1f} years each.",
        "A difference within 1.96 of its standard errors is called not distinguishable. Groups are model confidence sets at 5 % by the wealth left after tax.",
    ]


def assumptions(plan: StudyPlan) -> list[str]:
    """Market, account and tax, as the study has them."""
    study = plan.study
    market = study.market
    span = f"{market.from_ or 'its first month'} to {market.to or 'its last month'}"
    what = {
        "history": f"The market is {market.data} as it was, {span}.",
        "bootstrap": f"The market is drawn from {market.data}, {span}, in blocks of {market.block_months:g} months on average, with seed {study.paths.seed}.",
        "lognormal": f"The market is lognormal, with means of {_listed(market.means)} and volatilities of {_listed(market.volatilities)} a year and seed {study.paths.seed}.",
        "file": f"The market is a file of the firm's own, SHA-256 {market.content_hash}, {span}.",
    }[market.source]
    paid = (
        f"of the return {_listed(market.dividend_yields)} a year is paid in cash"
        if market.dividend_yields
        else "no part of the return is paid in cash"
    )
    return [
        f"{what} Returns are total; {paid}.",
        *(_of_the_account(study) if plan.firm is None else _of_accounts(plan)),
    ]


def _of_the_account(study: Study) -> list[str]:
    book, tax = study.book, study.tax
    rates = (
        f"Gains are taxed at {tax.short_term_rate:.1%} short-term and {tax.long_term_rate:.1%} long-term"
        if tax
        else "There is no tax"
    )
    return [
        f"An account begins with {book.nav_usd:,.0f} USD in cash and is invested in {_listed(book.targets)} on the first date.",
        f"It pays {_listed(book.half_spread_bps)} basis points of each dollar traded; {study.flows.monthly_usd:,.2f} USD flow in each month.",
        f"{rates}. {ENGINE}",
    ]


def _of_accounts(plan: StudyPlan) -> list[str]:
    firm, study = plan.firm, plan.study
    if firm is None:
        return []
    reasons = firm.left_out["reason"].value_counts(sort=True).sort("count", "reason", descending=[True, False])
    left_out = "; ".join(f"{count:,} because {reason}" for reason, count in reasons.iter_rows())
    moves = ", ".join(f"{own} as {market}" for own, market in study.book.market_classes.items())
    return [
        f"{len(firm.holders.names):,} accounts of run {study.book.run_id} begin as they stood on {firm.begin}, with their lots, rates, buy lists and restrictions; figures are means of them.",
        f"Left out were {firm.left_out.height:,} accounts{': ' + left_out if left_out else ''}.",
        f"All securities of a class move alike: {moves}. Cash earns nothing; {study.flows.monthly_usd:,.2f} USD flow into each each month.",
        f"Gains are taxed at each account's rates. {ENGINE}",
    ]


def _listed(values: Mapping[str, float] | float) -> str:
    """``bonds 0.4, stocks 0.6``, or the number that is for all."""
    if not isinstance(values, Mapping):
        return f"{values:g}"
    return ", ".join(f"{name} {value:g}" for name, value in sorted(values.items()))


@dataclass(frozen=True)
class StudyPage:
    """What a page of a study is made of: its name, the stamp, policies, pictures and who was left out."""

    name: str
    words: Mapping[str, Any]
    policies: pl.DataFrame
    pictures: Sequence[StudyPicture]
    left_out: pl.DataFrame


def read_study_page(settings: Settings, study_id: str) -> StudyPage:
    """What a study found, for a page.

    Raises
    ------
    WrongUsage
        There is none of that name, or it is not finished.
    """
    lake, plan, policies = open_lake(settings), load_plan(settings, study_id), policies_of(settings, study_id)
    pictures = study_pictures(plan, policies, lake.read("lab_years", study_id), lake.read("lab_gaps", study_id))
    return StudyPage(plan.study.name, stamp(plan), policies, pictures, lake.read("lab_left_out", study_id))


def study_page(
    plan: StudyPlan, policies: pl.DataFrame, words: Mapping[str, Any], pictures: Sequence[StudyPicture]
) -> str:
    """The whole page; it asks no other host for anything."""
    made_by = ", ".join(f"{name} {version}" for name, version in versions().items())
    measures = compared(policies).with_columns(cs.float().round_sig_figs(6))
    return PAGE.format(
        title=html.escape(f"{plan.study.name}: hypothetical"),
        name=html.escape(plan.study.name),
        stamp=html.escape(words["title"]),
        **{key: _sentences(key, words[key]) for key in ("criteria", "assumptions", "risks")},
        policies=_table(["policy", "group", *SHORT], policy_table(policies)),
        pictures="".join(
            f"<figure>{each.svg}<figcaption>{html.escape(each.caption)}</figcaption></figure>" for each in pictures
        ),
        measures=_table(measures.columns, measures.iter_rows()),
        study_id=plan.study.study_id,
        made_by=html.escape(made_by),
    )


def _sentences(title: str, sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{html.escape(each)}</li>" for each in sentences)
    return f"<h3>{title.capitalize()}</h3><ul>{items}</ul>"


def _table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: Any) -> str:
    return f"<td>{html.escape('' if value is None else str(value))}</td>"
