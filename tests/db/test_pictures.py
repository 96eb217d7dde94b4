"""What pictures were made with, in the database."""

from dataclasses import replace

from db.engine import Database
from db.pictures import (
    Made,
    StoredPictures,
    add_pictures,
    forget_pictures,
    forget_pictures_of,
    read_pictures,
)
from tests.db.entries import book, request

ROW = StoredPictures(
    *(1, 10, 20, 30, "a fox", "", "", 1024, 768, 7, None, 2.5, 2, False, True),
    (Made(1024, 768, "some-model", 7, 4, None, "snow"), Made(512, 512, "another", None)),
    1_800_000_000,
)


async def add(database: Database, *rows: StoredPictures) -> None:
    async with database.transaction() as connection:
        for number, row in enumerate(rows, 1):
            await book(connection, request(number))
            await add_pictures(connection, row)


async def read(database: Database, row_id: int) -> StoredPictures | None:
    return await database.run(lambda connection: read_pictures(connection, row_id))


async def test_a_row_comes_back_as_it_was_kept(database: Database) -> None:
    """Every field, with what each picture was really made with; a second write changes nothing."""
    await add(database, ROW)
    await database.run(lambda connection: add_pictures(connection, replace(ROW, prompt="other")))
    assert await read(database, 1) == ROW
    assert await read(database, 2) is None


async def test_text_that_databases_refuse_is_kept_without_it(database: Database) -> None:
    """NUL and half a character fall out of prompts."""
    await add(database, replace(ROW, prompt="a\0 fox \ud83d", negative="\0"))
    row = await read(database, 1)
    assert row is not None
    assert (row.prompt, row.negative) == ("a fox ", "")


async def test_a_row_is_forgotten_alone_or_with_all_of_its_member(database: Database) -> None:
    """Deleting one leaves the others, and so does deleting another member's."""
    rows = [replace(ROW, id=number, user_id=user) for number, user in ((1, 30), (2, 30), (3, 30), (4, 31))]
    await add(database, *rows)
    await database.run(lambda connection: forget_pictures(connection, 1))
    assert await read(database, 1) is None
    assert await database.run(lambda connection: forget_pictures_of(connection, 30)) == 2
    assert [await read(database, number) is not None for number in (2, 3, 4)] == [False, False, True]
