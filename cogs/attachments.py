"""Discord attachments, fetched and made ready for a model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from weakref import WeakValueDictionary

import discord

from assistant.attachments import Attached, UnreadableFile, check_size, plain_name, read_file
from assistant.values import AttachedPicture

log = logging.getLogger(__name__)

MAX_FILES = 4
FETCH_SECONDS = 30.0
FILES_AT_ONCE = 4


class FileReader:
    """Reads what members attach: a few files at a time, since each may take 20 MB while it is read, and one
    of each member, so that nobody's slow files keep others waiting.
    """

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(FILES_AT_ONCE)
        self._of_member: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def read_files(
        self, attachments: Sequence[discord.Attachment], user_id: int
    ) -> tuple[str, tuple[AttachedPicture, ...]]:
        """The texts and the pictures of at most four files that a member gave along with a question.

        Raises UnreadableFile for the first that cannot be used.
        """
        if len(attachments) > MAX_FILES:
            raise UnreadableFile(f"At most {MAX_FILES} files go along with a question. Attach fewer.")
        return _collect([await self._read(attachment, user_id) for attachment in attachments])

    async def read_what_can_be(
        self, attachments: Sequence[discord.Attachment], user_id: int
    ) -> tuple[str, tuple[AttachedPicture, ...]]:
        """The same for files that merely belong to a message asked about: the model is told of the others."""
        found: list[Attached] = []
        unread = [plain_name(attachment.filename) for attachment in attachments[MAX_FILES:]]
        for attachment in attachments[:MAX_FILES]:
            try:
                found.append(await self._read(attachment, user_id))
            except UnreadableFile:
                unread.append(plain_name(attachment.filename))
        text, pictures = _collect(found)
        names = ", ".join(f'"{name}"' for name in unread)
        note = f"The message also has files that you cannot see: {names}." if unread else ""
        return "\n\n".join(filter(None, (text, note))), pictures

    async def _read(self, attachment: discord.Attachment, user_id: int) -> Attached:
        """Fetch and read one file; one that says it is too large is not fetched. Raises UnreadableFile."""
        name = attachment.filename
        check_size(name, attachment.size)
        async with self._of_member.setdefault(user_id, asyncio.Lock()), self._room:
            try:
                async with asyncio.timeout(FETCH_SECONDS):
                    data = await attachment.read()
            except Exception as error:  # what discord.py lets through has no common base
                log.info("an attachment could not be fetched: %s", type(error).__name__)
                raise UnreadableFile(
                    f"{plain_name(name)} could not be fetched from Discord. Attach it again."
                ) from None
            return await read_file(name, data)


def _collect(files: Sequence[Attached]) -> tuple[str, tuple[AttachedPicture, ...]]:
    text = "\n\n".join(file.text for file in files if file.text)
    return text, tuple(file.picture for file in files if file.picture is not None)
