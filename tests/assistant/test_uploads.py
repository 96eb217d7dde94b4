"""Pictures as files: what each is called, and what is said of those that are too large."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from assistant.uploads import make_files
from providers.base import Picture
from providers.pixels import encode_png
from tests.fakes import small_png

SMALL = Picture(small_png(), 8, 8, "model", 7)
LARGE = replace(SMALL, png=encode_png(Image.effect_noise((300, 300), 90).convert("RGB")))


@pytest.mark.parametrize(
    ("seeds", "names"),
    [
        ([7, 8], ["picture-7.png", "picture-8.png"]),
        ([7, 7, 7], ["picture-7.png", "picture-7-2.png", "picture-7-3.png"]),
        ([None, None], ["picture-1.png", "picture-2.png"]),
        ([2, None], ["picture-2.png", "picture-2-2.png"]),
    ],
)
async def test_each_file_has_a_name_of_its_own(seeds: list[int | None], names: list[str]) -> None:
    """By its seed, and by its place where that would not tell it from the others."""
    files, notes = await make_files([replace(SMALL, seed=seed) for seed in seeds], 1_000_000)

    assert [file.name for file in files] == names
    assert notes == []


@pytest.mark.parametrize(
    ("pictures", "which"),
    [
        ([LARGE], "The picture"),
        ([SMALL, LARGE], "1 of the 2 pictures"),
        ([LARGE, LARGE], "2 of the 2 pictures"),
    ],
)
async def test_what_is_too_large_in_any_format_has_no_file(pictures: list[Picture], which: str) -> None:
    """Which those are is told, and what would help."""
    files, notes = await make_files(pictures, 1_000)

    assert len(files) == pictures.count(SMALL)
    assert notes == [f"{which} cannot be made small enough for this server. Choose a smaller size."]
