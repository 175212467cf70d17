"""What an export is written by: its profiles, whose orders it holds, and which key signs it. Fixed when it is claimed.

The plan is kept in the ledger with the claim, mappings and all. An export that was interrupted is finished by the plan it was
claimed with, whatever the settings say by then, so that its bytes are the same.
"""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from schemas.enums import ProfileFormat
from schemas.errors import Terminal, WrongUsage
from schemas.exports import Profile
from schemas.settings import Settings
from tasks.export.signing import Signer, read_signer


class ExportPlan(BaseModel):
    """How an export is written, and where it goes.

    ``signing_key``: the public key in hexadecimal; empty: not signed. ``custodians`` empty: everybody's orders. ``deliveries``: names
    of places.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profiles: tuple[Profile, ...] = ()
    signing_key: str = ""
    custodians: tuple[str, ...] = ()
    deliveries: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings, signer: Signer | None) -> Self:
        """The plan of an export that is claimed now.

        Raises
        ------
        WrongUsage
            A mapping cannot be read.
        """
        profiles = tuple(_with_text(profile) for profile in settings.profiles)
        return cls(profiles=profiles, signing_key="" if signer is None else signer.public_hex)

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """The plan that an export was claimed with."""
        return cls() if text is None else cls.model_validate_json(text)

    @property
    def text(self) -> str:
        """As it is kept."""
        return self.model_dump_json(exclude_defaults=True)

    def signer_for(self, signer: Signer | None, export_id: str) -> Signer | None:
        """The signer that the plan asks for.

        Raises
        ------
        Terminal
            It was claimed with another key.
        """
        if not self.signing_key:
            return None
        if signer is None or signer.public_hex != self.signing_key:
            raise Terminal(
                f"export {export_id} was begun to be signed with the key {self.signing_key[:16]}...; needed that key to finish it\n\n"
                "Hint: set signing_key_file to it until this export is out."
            )
        return signer


def signer_of(settings: Settings) -> Signer | None:
    """The signer that the settings name; null where exports are not signed."""
    return read_signer(Path(settings.signing_key_file)) if settings.signing_key_file else None


def _with_text(profile: Profile) -> Profile:
    if profile.format is not ProfileFormat.MAPPED:
        return profile
    try:
        text = Path(profile.mapping).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(
            f"the mapping {profile.mapping} of the profile {profile.name} cannot be read: {error}"
        ) from None
    return profile.model_copy(update={"mapping": text})
