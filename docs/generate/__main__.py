"""``python -m docs.generate``: write the generated pages of the reference and the pictures of the explanation."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from docs.generate.core import core_pages
from docs.generate.inputs import landing_page, policy_page, settings_page
from docs.generate.pictures import bands, cash, lots, tax
from docs.generate.programs import commands_page, rest_page
from docs.generate.tables import events_page, exit_codes_page, tables_page, words_page

DOCS: Final = Path(__file__).parents[1]
MADE: Final[Mapping[str, Callable[[], str]]] = {
    "reference/landing.md": landing_page,
    "reference/policy.md": policy_page,
    "reference/settings.md": settings_page,
    "reference/tables.md": tables_page,
    "reference/words.md": words_page,
    "reference/events.md": events_page,
    "reference/exit-codes.md": exit_codes_page,
    "reference/commands.md": commands_page,
    "reference/rest.md": rest_page,
    **core_pages(),
    "explanation/pictures/bands.svg": bands,
    "explanation/pictures/lots.svg": lots,
    "explanation/pictures/cash.svg": cash,
    "explanation/pictures/tax.svg": tax,
}
"""Every file that is made from the code, and what makes it."""

if __name__ == "__main__":
    for path, made in MADE.items():
        (DOCS / path).write_text(made())
