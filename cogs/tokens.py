"""How to reach those who asked, sealed for the database: interaction tokens, or channels of messages.

Whoever has a token may write in the bot's name for a quarter of an hour. After a kill the next start needs
those of the answers that were cut off.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from cogs.surfaces import INTERACTION_SECONDS

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


class Seal:
    """Seals and opens, with a key that is made from the bot's own token: it has no other secret to keep."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.blake2b(secret.encode(), digest_size=32, person=b"interactions").digest()
        self._fernet: Fernet | None = None

    def close(self, response: str | int) -> str:
        """A token, or a channel's id, as nobody else can read it."""
        return self._cipher().encrypt(str(response).encode()).decode()

    def open(self, sealed: str) -> str | None:
        """What was sealed; None if it is of no use any more, or was sealed by a bot with another token."""
        from cryptography.fernet import InvalidToken

        try:
            return self._cipher().decrypt(sealed.encode(), ttl=int(INTERACTION_SECONDS)).decode()
        except InvalidToken:
            return None

    def _cipher(self) -> Fernet:
        if self._fernet is None:
            from cryptography.fernet import Fernet  # at the first question: it takes 8 MiB

            self._fernet = Fernet(base64.urlsafe_b64encode(self._key))
        return self._fernet
