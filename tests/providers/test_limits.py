"""What a model cannot do becomes the nearest that it can, and every change is told in a plain sentence."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import ImageRequest
from providers.catalog import Entry, load_catalog
from providers.limits import PictureLimits, fit, nearest_size

ORDER = ImageRequest("a fox", 1024, 1024, 7)
# The sizes that members choose from.
SHAPES = [(1024, 1024), (1344, 768), (768, 1344), (1152, 896), (896, 1152)]
FLUX = load_catalog()["hf-fal"]
PAINTERS = [entry for entry in load_catalog().values() if entry.makes_pictures]


def changes(limits: PictureLimits, **wishes: Any) -> tuple[ImageRequest, tuple[str, ...]]:
    return fit(dataclasses.replace(ORDER, **wishes), limits)


@pytest.mark.parametrize("size", SHAPES)
@pytest.mark.parametrize("entry", PAINTERS, ids=lambda entry: entry.name)
def test_every_shape_is_made_by_every_provider(entry: Entry, size: tuple[int, int]) -> None:
    """What the command offers passes as it is, but for the one vendor with three sizes of its own."""
    fits = entry.name != "openai-images" or size == (1024, 1024)

    assert (nearest_size(entry, *size) == size) == fits


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ((1344, 768), (1536, 1024)),
        ((1152, 896), (1536, 1024)),
        ((896, 1152), (1024, 1536)),
        ((768, 1344), (1024, 1536)),
        ((256, 256), (1024, 1024)),
        ((4000, 100), (1536, 1024)),
        ((100, 4000), (1024, 1536)),
    ],
)
def test_fixed_sizes_are_chosen_by_shape(asked: tuple[int, int], sent: tuple[int, int]) -> None:
    """Where a vendor makes few sizes, the one of the nearest shape is taken."""
    assert nearest_size(load_catalog()["openai-images"], *asked) == sent


def test_of_equal_shapes_the_nearest_in_area_is_taken() -> None:
    """Two squares are told apart by their size."""
    limits = PictureLimits(sizes=("512x512", "1024x1024", "1536x1024"))

    assert nearest_size(limits, 600, 600) == (512, 512)
    assert nearest_size(limits, 900, 900) == (1024, 1024)


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ((1000, 1000), (1024, 1024)),
        ((2048, 1024), (1536, 768)),
        ((1536, 1536), (1408, 1408)),
        ((100, 100), (256, 256)),
        ((512, 128), (1024, 256)),
        ((4096, 64), (1536, 256)),
    ],
)
def test_other_sizes_keep_their_shape(asked: tuple[int, int], sent: tuple[int, int]) -> None:
    """FLUX makes multiples of 64 from 256 to 1536 and up to two megapixels: shape comes before size."""
    assert nearest_size(FLUX, *asked) == sent


@given(
    st.integers(1, 20_000),
    st.integers(1, 20_000),
    st.sampled_from([1, 8, 16, 64]),
    st.sampled_from([(64, 2048), (256, 1536), (512, 512)]),
    st.floats(0.3, 4.2),
)
def test_every_size_ends_within_the_bounds(
    width: int, height: int, step: int, sides: tuple[int, int], megapixels: float
) -> None:
    """Whatever is asked for, what is sent is a multiple, between the sides and not above the area."""
    least, most = sides
    limits = PictureLimits(min_side=least, max_side=most, multiple_of=step, max_megapixels=megapixels)

    fitted = nearest_size(limits, width, height)

    assert all(least <= side <= most and side % step == 0 for side in fitted)
    assert fitted[0] * fitted[1] <= max(megapixels * 1e6, least * least)
    assert nearest_size(limits, *fitted) == fitted


@pytest.mark.parametrize(
    ("asked", "sent", "sentence"),
    [
        (None, 4, None),
        (1, 1, None),
        (12, 12, None),
        (13, 12, "This model takes 1 to 12 steps: it took 12, not 13."),
        (1000, 12, "This model takes 1 to 12 steps: it took 12, not 1000."),
        (-5, 1, "This model takes 1 to 12 steps: it took 1, not -5."),
    ],
)
def test_steps_stay_within_what_the_model_can(asked: int | None, sent: int, sentence: str | None) -> None:
    """No steps are the entry's default, too many its most, and one is the least."""
    assert changes(FLUX, steps=asked) == (
        dataclasses.replace(ORDER, steps=sent),
        (sentence,) if sentence else (),
    )


def test_what_a_model_has_none_of_is_left_out() -> None:
    """It is gone from the request, with a sentence for each but the seed, which nobody need have given."""
    limits = PictureLimits(takes=())

    fitted, notes = changes(limits, steps=9, guidance=3.0, negative="people")

    assert fitted == dataclasses.replace(ORDER, seed=None)
    assert notes == (
        "This model has no steps to choose.",
        "This model takes no guidance.",
        "This model takes no negative prompt.",
    )


def test_what_a_model_has_is_kept() -> None:
    """A model that takes everything is asked for just that."""
    limits = PictureLimits(steps=20, max_steps=50, guidance_scale=7, takes=("seed", "guidance", "negative"))

    assert changes(limits, steps=30, guidance=5.5, negative="people") == (
        dataclasses.replace(ORDER, steps=30, guidance=5.5, negative="people"),
        (),
    )
    assert changes(limits) == (dataclasses.replace(ORDER, steps=20, guidance=7), ())


def test_guidance_stays_within_what_the_model_can() -> None:
    """Too much is the most, and less than nothing is nothing."""
    limits = PictureLimits(max_guidance=10, takes=("guidance",))

    assert changes(limits, guidance=12.5, seed=None) == (
        dataclasses.replace(ORDER, guidance=10, seed=None),
        ("This model takes guidance from 0 to 10: it took 10, not 12.5.",),
    )
    assert changes(limits, guidance=-1, seed=None)[0].guidance == 0


def test_a_size_that_is_changed_is_told() -> None:
    """The member reads what was made and what was asked for."""
    fitted, notes = changes(load_catalog()["openai-images"], width=1344, height=768)

    assert (fitted.width, fitted.height) == (1536, 1024)
    assert notes[0] == "This model makes 1536 x 1024, the nearest to 1344 x 768."


def test_a_prompt_that_a_model_would_cut_is_told() -> None:
    """FLUX reads 256 tokens and cuts the rest in silence: the bot does not."""
    assert changes(FLUX, prompt="a " * 500)[1] == ()
    assert changes(FLUX, prompt="a " * 600)[1] == (
        "This model reads about 256 tokens of a prompt: the end of this one may be lost.",
    )


def test_what_we_say_of_a_vendors_model_does_not_hold_for_another() -> None:
    """A host who sets another says what it can; a vendor's sizes, and one's own server, stay as they are."""
    entries = load_catalog(
        {
            "fal": {"model": "fal-ai/flux/dev", "steps": 28, "max_steps": 50, "max_guidance": 10},
            "openai-images": {"model": "gpt-image-1"},
            "webui": {"model": "sd_xl.safetensors"},
        }
    )
    fal, openai = entries["fal"], entries["openai-images"]

    assert (fal.steps, fal.max_steps, fal.max_guidance, fal.prompt_tokens) == (28, 50, 10, None)
    assert (fal.min_side, fal.max_side, fal.picture_hosts, fal.price) == (256, 1536, ("fal.media",), None)
    assert (len(openai.sizes), openai.takes) == (3, ())
    assert load_catalog({"fal": {"model": "fal-ai/flux/dev"}})["fal"].steps is None
    assert entries["webui"] == load_catalog()["webui"].model_copy(update={"model": "sd_xl.safetensors"})


def test_a_model_of_a_provider_has_limits_of_its_own() -> None:
    """What stands with the model goes over what stands with its provider, and the rest stays."""
    table = {"models": {"dev": {"steps": 28, "max_steps": 50, "takes": ["guidance"]}, "plain": {}}}
    entry = load_catalog({"hf-fal": table})["hf-fal"]

    dev, plain = entry.with_model("dev"), entry.with_model("plain")

    assert (dev.model, dev.steps, dev.max_steps, dev.takes) == ("dev", 28, 50, ("guidance",))
    assert (dev.multiple_of, dev.base_url) == (64, entry.base_url)
    assert plain == entry.model_copy(update={"model": "plain"})
