"""``python -m docs.generate``: write the generated pages of the reference."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from docs.generate.inputs import landing_page, policy_page, settings_page
from docs.generate.programs import commands_page, rest_page
from docs.generate.tables import events_page, exit_codes_page, tables_page, words_page

FOLDER: Final = Path(__file__).parents[1] / "reference"
PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "landing": landing_page,
    "policy": policy_page,
    "settings": settings_page,
    "tables": tables_page,
    "words": words_page,
    "events": events_page,
    "exit-codes": exit_codes_page,
    "commands": commands_page,
    "rest": rest_page,
}

if __name__ == "__main__":
    for name, made in PAGES.items():
        (FOLDER / f"{name}.md").write_text(made())
