"""What ``trimtab explain`` says of the year's tax and of what limits an account's trades."""

from rich.console import Console
from rich.text import Text

from flows.commands.explain_tables import LIMITS, TERMS, Page, print_rows, usd


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
