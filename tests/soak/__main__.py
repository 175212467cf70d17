"""``python -m tests.soak --accounts 2000 --days 250 --kills 200``: the year, and a report of it; ends with 1 where something is not true.

The report names what happened, what was found wrong, and for each night its seconds, memory and the size of the lake; figures stand in a CSV beside it.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import polars as pl

from tests.soak.year import Year

SHOWN = 50
"""Faults that the report names."""


def report(year: Year, seconds: float) -> str:
    """What a person reads."""
    nights, kills = year.nights, Counter(kill for night in year.nights for kill in night.kills)
    outcomes = Counter[str]()
    for night in nights:
        outcomes.update(night.outcomes)
    tenth = max(len(nights) // 10, 1)

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    lines = [
        f"# {len(nights)} nights of {len(year.at.accounts):,} accounts",
        "",
        f"* {nights[0].day} to {nights[-1].day}, seed {year.seed}, {seconds / 60:.0f} minutes",
        f"* faults found: **{len(year.faults)}**",
        "* outcomes: " + ", ".join(f"{count:,} {name}" for name, count in outcomes.most_common()),
        f"* orders: {sum(night.orders for night in nights):,} proposed, {len(year.left):,} left, {len(year.filled):,} filled in part or whole",
        "* people: " + ", ".join(f"{count:,} {word}" for word, count in year.decided.most_common()),
        f"* happened: {', '.join(f'{count:,} {what}' for what, count in sorted(year.at.happened.items()))}",
        f"* nights held and let go on by a person: {len(year.held)}",
        f"* killed: {sum(kills.values())} times: {', '.join(f'{count} {point}' for point, count in kills.most_common())}",
        f"* seconds a night, first and last tenth: {mean([n.seconds for n in nights[:tenth]]):.1f}, {mean([n.seconds for n in nights[-tenth:]]):.1f}",
        f"* most memory, first tenth and last: {max(n.memory_mib for n in nights[:tenth]):,.0f}, {nights[-1].memory_mib:,.0f} MiB",
        f"* lake, first tenth and last night: {nights[tenth - 1].home_mib:.1f}, {nights[-1].home_mib:.1f} MiB",
        "",
        *(f"* {fault}" for fault in year.faults[:SHOWN]),
        *(f"* held: {held}" for held in year.held[:SHOWN]),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the year that the command line asks for."""
    words = argparse.ArgumentParser(prog="python -m tests.soak")
    for name, value in {"accounts": 2000, "days": 250, "kills": 200, "seed": 1}.items():
        words.add_argument(f"--{name}", type=int, default=value)
    words.add_argument("--to", type=Path, default=Path("soak"), help="folder of the report")
    given = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as home:
        year = Year(Path(home), accounts=given.accounts, days=given.days, kills=given.kills, seed=given.seed)
        began = time.monotonic()
        year.run()
        text = report(year, time.monotonic() - began)
    given.to.mkdir(parents=True, exist_ok=True)
    (given.to / "report.md").write_text(text, encoding="utf-8")
    columns = ("day", "seconds", "orders", "exported", "memory_mib", "home_mib")
    rows = [{name: getattr(night, name) for name in columns} | {"kills": len(night.kills)} for night in year.nights]
    pl.DataFrame(rows).write_csv(given.to / "nights.csv")
    print(text)
    return 1 if year.faults else 0


if __name__ == "__main__":
    sys.exit(main())
