"""Prices: what a request costs, to the millionth of a dollar, and when nobody knows."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import hypothesis
import pytest
from hypothesis import strategies as st

from providers.base import Usage
from providers.catalog import CatalogError, load_catalog
from providers.prices import FREE, Price, cost_micros, dearest

DATE = date(2026, 11, 1)


def price(**dollars: str) -> Price:
    return Price(date=DATE, **{name: Decimal(amount) for name, amount in dollars.items()})


LUNA = price(prompt="0.10", completion="0.50", cached_prompt="0.01")
MINISTRAL = price(prompt="0.20", completion="0.20")
SCHNELL = price(per_megapixel="0.0013")
PER_PICTURE = price(per_picture="0.04")


@pytest.mark.parametrize(
    ("of", "usage", "micros"),
    [
        # 1,000 prompt tokens at $0.10 a million are $0.0001, 2,000 completion tokens at $0.50 are $0.001.
        (LUNA, Usage(1000, 2000), 100 + 1000),
        # 800 of the 1,000 were cached, at a tenth of the price.
        (LUNA, Usage(1000, 2000, cached_tokens=800), 20 + 8 + 1000),
        # Thinking is among the completion tokens already.
        (LUNA, Usage(1000, 2000, reasoning_tokens=1500), 1100),
        # More cached tokens than there are would be a gift.
        (LUNA, Usage(1000, 0, cached_tokens=5000), 10),
        # Without a price of their own, cached tokens cost what the others do.
        (MINISTRAL, Usage(1000, 1000, cached_tokens=1000), 400),
        # A tenth of a millionth is rounded up, not away.
        (LUNA, Usage(1, 0), 1),
        (LUNA, Usage(11, 1), 2),
        (LUNA, Usage(), 0),
        # 1,048,576 pixels at $0.0013 a million.
        (SCHNELL, Usage(pictures=1, pixels=1024 * 1024), 1364),
        (SCHNELL, Usage(pictures=4, pixels=4 * 1024 * 1024), 5453),
        (PER_PICTURE, Usage(pictures=3), 120_000),
        # The prompt is part of a picture's price.
        (PER_PICTURE, Usage(50, 0, pictures=1), 40_000),
        (price(per_picture="0.01", prompt="2"), Usage(50, 0, pictures=1), 10_100),
        (FREE, Usage(10**9, 10**9, pictures=9, pixels=10**9), 0),
    ],
)
def test_worked_examples(of: Price, usage: Usage, micros: int) -> None:
    """Costs as one would reckon them by hand."""
    assert cost_micros(of, usage) == micros


@pytest.mark.parametrize(
    ("of", "usage"),
    [
        (None, Usage(10, 5)),
        (LUNA, Usage(pictures=1)),
        (price(prompt="1"), Usage(10, 5)),
        (price(completion="1"), Usage(10, 5)),
    ],
)
def test_what_a_price_does_not_cover_is_unpriced(of: Price | None, usage: Usage) -> None:
    """Where a part of the price is missing the cost is unknown, and never nothing."""
    assert cost_micros(of, usage) is None


AMOUNTS = st.decimals(0, 1000, places=6)
TOKENS = st.integers(0, 10**9)


@hypothesis.given(
    AMOUNTS, AMOUNTS, AMOUNTS, st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9)
)
def test_costs_are_exact_and_rounded_up(
    prompt: Decimal, completion: Decimal, cached: Decimal, used: int, written: int, of_it: int
) -> None:
    """The cost is the exact sum, rounded up by less than one millionth."""
    of = Price(date=DATE, prompt=prompt, completion=completion, cached_prompt=cached)
    cost = cost_micros(of, Usage(used, written, cached_tokens=of_it))
    known = min(used, of_it)
    exact = Fraction(prompt) * (used - known) + Fraction(cached) * known + Fraction(completion) * written
    assert cost is not None
    assert 0 <= cost - exact < 1


def test_the_dearest_counts() -> None:
    """Of several prices the highest cost is taken; those that are not known are left out."""
    assert dearest([LUNA, None, MINISTRAL], Usage(1000, 1000)) == 600
    assert dearest([None], Usage(1000, 1000)) == 0


def test_catalogue_has_a_date_for_every_price_and_the_host_may_change_one() -> None:
    """Our prices say when they were checked; a host's price of one model leaves the others as they are."""
    for entry in load_catalog().values():
        assert all(known.date for known in entry.prices.values())
    table = {"prices": {"gpt-6-luna": {"prompt": 1, "completion": 2.5, "date": DATE}}}
    entry = load_catalog({"openai": table})["openai"]
    assert entry.price == price(prompt="1", completion="2.5")
    assert entry.prices["gpt-4o-mini"].completion == Decimal("0.6")


@pytest.mark.parametrize(("name", "micros"), [("hf-nscale", 1_364), ("hf-fal", 3_146), ("fal", 3_146)])
def test_what_a_picture_costs_is_known(name: str, micros: int) -> None:
    """Where a limit in dollars holds, these may be asked: a megapixel at the vendor's price."""
    assert cost_micros(load_catalog()[name].price, Usage(pictures=1, pixels=1024 * 1024)) == micros


@pytest.mark.parametrize(
    ("known", "name", "entry_price"),
    [("keyless servers", "ollama", FREE), ("sketches", "sketch", FREE), ("a vendor's", "together", None)],
)
def test_own_servers_cost_nothing_and_others_are_unpriced(
    known: str, name: str, entry_price: Price | None
) -> None:
    """What needs no key is free; a vendor's model without a price has none."""
    assert load_catalog()[name].price == entry_price


@pytest.mark.parametrize(
    "wrong",
    [{"prompt": -1, "date": DATE}, {"prompt": 1}, {"promt": 1, "date": DATE}, {"prompt": "x", "date": DATE}],
)
def test_mistakes_in_prices_are_told(wrong: dict[str, object]) -> None:
    """A price below nothing, without its date, misspelt or unreadable is named with its place."""
    with pytest.raises(CatalogError) as refusal:
        load_catalog({"openai": {"prices": {"gpt-6-luna": wrong}}})
    assert "[providers.openai] prices.gpt-6-luna" in refusal.value.problems[0]


def test_a_server_of_ones_own_costs_nothing_behind_a_key_too() -> None:
    """The catalogue knows whose they are; a vendor of the host's own is free only if it needs no key."""
    login: dict[str, object] = {"keys": ["SOME_LOGIN"]}
    own: dict[str, object] = {
        "wire": "chat-completions",
        "base_url": "https://api.example.com/v1",
        "model": "large",
    }
    gift = own | login | {"free": True}
    entries = load_catalog(
        {"webui": login, "ollama": login, "keyless": own, "keyed": own | login, "gift": gift}
    )

    prices = {name: entries[name].price for name in ("webui", "ollama", "keyless", "keyed", "gift")}
    assert prices == {"webui": FREE, "ollama": FREE, "keyless": FREE, "keyed": None, "gift": FREE}
