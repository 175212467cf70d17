"""What ``trimtab explain`` says of the year's tax and of what limits an account's trades."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from flows.commands.explain_tables import LIMITS, LOSSES, TERMS, WAYS, Page, print_rows, usd
from tasks.core.explain import LETTERS, LOSS_RULE, OF_THE_HOUSEHOLD, folded, folded_words, gap_marks

BAR: Final = 60
"""Characters from the bound to the trades."""


def title(console: Console, text: str) -> None:
    """The head of a section."""
    console.print()
    console.print(Text(text, style="bold"))


def say(console: Console, *sentences: str) -> None:
    """A sentence a line; nothing in it is markup."""
    for sentence in sentences:
        console.print(Text(sentence))


def print_tax(page: Page, console: Console) -> None:
    """What nets with what before the sales and after, what the wash-sale rule disallows, and the tax."""
    tax = page["tax"]
    if tax is None:
        return
    title(console, "Tax")
    if tax["tax_status"] != "taxable":
        say(console, f"The account is {tax['tax_status'].replace('_', '-')}: it pays no tax on a sale.")
        return
    print_rows(console, TERMS, tax["terms"])
    for term in ("short", "long"):
        carried = tax[f"loss_carryforward_{term}_usd"]
        if carried:
            year = usd(tax[f"ytd_{term}_gain_usd"])
            say(console, f"Before, {term}: {year} USD this year less a loss of {usd(carried)} USD carried forward.")
    console.print()
    say(console, f"Before: {tax['netting_before_sentence']} Tax {usd(tax['tax_before_usd'])} USD.")
    if page["proposal"] is None:
        return
    after = f"After: {tax['netting_after_sentence']} " if tax["netting_after_sentence"] else "After: "
    added = tax["est_tax_usd"]
    say(console, f"{after}Tax {usd(tax['tax_after_usd'])} USD, {usd(abs(added))} {'less' if added < 0 else 'more'}.")
    say(console, *filter(None, (tax["side_sentence"], tax["regime_sentence"])))
    say(console, *(term["marginal_sentence"] for term in tax["terms"] if term["marginal_rate"]))


def print_limits(page: Page, console: Console) -> None:
    """What limits the trades, and what one more dollar of each limit would be worth."""
    if page["not_solved_again"]:
        title(console, "Limits")
        say(console, page["not_solved_again"])
    if page["limits"]:
        title(console, "Limits")
        say(
            console,
            "Price: what one more dollar of the limit would be worth, in basis points of it; 0: it does not bind.",
        )
        print_rows(console, LIMITS, page["limits"])
        console.print()
        say(console, *(row["sentence"] for row in page["limits"] if row["most"] is not None))


def print_losses(page: Page, console: Console) -> None:
    """How much may be sold at a loss of each class, how much is, and whether that stops it."""
    if page["losses"]:
        title(console, "Losses")
        say(console, LOSS_RULE, *([OF_THE_HOUSEHOLD] if page["household_classes"] else []))
        print_rows(console, LOSSES, folded(page["losses"]))
        _say_of_classes(console, [row for row in page["losses"] if row["is_binding"]])


def print_ways(page: Page, console: Console) -> None:
    """Which way each class trades, and what one more dollar either way would be worth."""
    if page["ways"]:
        title(console, "Which way")
        say(
            console,
            "Worth and cost of the next dollar sold or bought, in basis points of it; off: USD from its destination.",
            *([OF_THE_HOUSEHOLD] if page["household_classes"] else []),
        )
        print_rows(console, WAYS, folded(page["ways"]))
        _say_of_classes(console, [row for row in page["ways"] if not row["is_obvious"]])


def _say_of_classes(console: Console, rows: Sequence[Page]) -> None:
    if rows:
        console.print()
        said = folded_words(rows, ("way",) if "way" in rows[0] else ())
        say(console, *(f"{row['asset_class']}: {row['sentence']}" for row in said))


def print_certificate(page: Page, console: Console) -> None:
    """How far the trades can be from the best, as a bar from the bound to trading nothing, and what the gap is made of."""
    certificate = page["certificate"]
    if certificate is None:
        return
    title(console, "Certificate")
    say(console, certificate["sentence"])
    if certificate["gap_usd"] is None:
        return
    reached = (
        f"Objective {usd(certificate['objective_usd'])} USD, no answer below {usd(certificate['lower_bound_usd'])} USD."
    )
    say(console, f"{reached} Both are the household's." if page["household_classes"] else reached)
    if certificate["parts"]:
        console.print()
        say(console, gap_bar(certificate), _legend(certificate))
        say(console, certificate["parts_sentence"], certificate["idle_sentence"])


def gap_bar(certificate: Page) -> str:
    """The gap as a line: ``B`` the bound, ``C`` the best in fractions of units, a letter for each part up to ``T``, the trades.

    ``N`` stands for trading nothing, where that is allowed; beyond ``//`` nothing is to scale. A part shows where it is at least half a character.
    """
    drawn = {
        mark.part: LETTERS[mark.part] * (round(BAR * mark.end) - round(BAR * mark.start))
        for mark in gap_marks(certificate)
    }
    proof = drawn.pop("proof", "")
    beyond = f"{6 * '-'}//{6 * '-'}N" if certificate["is_idle_allowed"] else ""
    return f"B{proof}C{''.join(drawn.values())}T{beyond}"


def _legend(certificate: Page) -> str:
    places = {
        "B": ("the proven bound", certificate["lower_bound_usd"]),
        "C": ("the best in fractions of units", certificate["continuous_usd"]),
        "T": ("these trades", certificate["objective_usd"]),
        "N": ("trading nothing", certificate["idle_usd"] if certificate["is_idle_allowed"] else None),
    }
    said = (f"{letter} {words} {usd(amount)}" for letter, (words, amount) in places.items() if amount is not None)
    return f"{', '.join(said)} USD."
