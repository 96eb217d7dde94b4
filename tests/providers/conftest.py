"""What the tests of the providers room share: a vendor on loopback and the way to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from providers.catalog import Entry, load_catalog
from providers.images import HuggingFaceInference, OpenAIImages
from providers.transport import Transport
from tests.fake_vendors import FakeVendor


@pytest.fixture
async def vendor() -> AsyncIterator[FakeVendor]:
    async with FakeVendor() as vendor:
        yield vendor


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def transport(session: aiohttp.ClientSession) -> Transport:
    return Transport(session)


@pytest.fixture
def images(vendor: FakeVendor, transport: Transport) -> OpenAIImages:
    entry = Entry(name="fake", wire="openai-images", base_url=f"{vendor.url}/v1", model="fake-model")
    return OpenAIImages(entry, transport)


@pytest.fixture
def hugging_face(vendor: FakeVendor, transport: Transport) -> HuggingFaceInference:
    return HuggingFaceInference(
        load_catalog({"hf-inference": {"base_url": vendor.url}})["hf-inference"], transport
    )
