"""Pictures that come as addresses: only public https and the vendor's own host are fetched, within bounds."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from providers.base import Unavailable
from providers.downloads import DOWNLOAD_BYTES, PublicResolver, download_picture, is_public
from tests.fake_vendors import RESET, FakeVendor, Reply, broken, json_reply, oversized, raw, redirect
from tests.fakes import small_png


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    """What the whole internet reaches is public, also where IPv6 carries IPv4."""
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "64:ff9b::10.0.0.1",
        "::ffff:0:127.0.0.1",
        "::ffff:100.64.0.1",
        "2001:0:7f00:1::",
        "100::1",
        "fd00:ec2::254",
        "64:ff9b:1::8.8.8.8",
        "192.0.0.192",
        "240.0.0.1",
        "2001:db8::1",
        "localhost",
        "",
    ],
)
def test_every_other_address_is_not(address: str) -> None:
    """Loopback, private, link-local, shared, reserved and multicast are refused, in IPv6 clothes too."""
    assert not is_public(address)


async def test_names_resolve_to_public_addresses_only() -> None:
    """A name is judged by what it resolves to at the moment of connecting."""
    resolver = PublicResolver()

    assert [result["host"] for result in await resolver.resolve("8.8.8.8", 443)] == ["8.8.8.8"]
    for name in ("localhost", "0x7f.1", "127.1"):
        with pytest.raises(OSError, match="not public"):
            await resolver.resolve(name, 443)
    await resolver.close()


class Names(AbstractResolver):
    """A name server that answers each question with the next of these addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.questions: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.questions.append(host)
        address = self.addresses.pop(0)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        pass


async def test_a_name_that_changes_its_address_gains_nothing() -> None:
    """Each connection asks anew and judges that very answer: the second, a private one, is refused."""
    resolver = PublicResolver(Names("8.8.8.8", "192.168.1.1"))

    assert [result["host"] for result in await resolver.resolve("v3.fal.media", 443)] == ["8.8.8.8"]
    with pytest.raises(OSError, match="not public"):
        await resolver.resolve("v3.fal.media", 443)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"])
@pytest.mark.parametrize("host", ["fal.media", "v3.fal.media"])
async def test_a_known_host_with_a_private_address_is_not_connected_to(host: str, address: str) -> None:
    """Being on the list does not help a name that leads to a server near the bot."""
    connections: list[asyncio.StreamWriter] = []
    listener = await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    names = Names(address)

    async with listener:
        with pytest.raises(Unavailable) as error:
            await download_picture(f"https://{host}:{port}/1.png", "https://fal.run", ["fal.media"], names)
        await asyncio.sleep(0)

    assert names.questions == [host]
    assert connections == []
    assert "could not be fetched" in error.value.detail


async def test_a_packed_reply_is_not_unpacked(vendor: FakeVendor) -> None:
    """A few kilobytes that would unpack to gigabytes stay a few kilobytes."""
    bomb = gzip.compress(bytes(50_000_000))
    vendor.reply(raw(bomb, headers={"Content-Encoding": "gzip"}))

    assert await download_picture("/1.png", vendor.url) == bomb
    assert vendor.requests[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("place", ["{url}/out/1.png?x=1", "/out/1.png?x=1", "../out/1.png?x=1"])
async def test_the_vendors_own_host_is_fetched(vendor: FakeVendor, place: str) -> None:
    """An address on the vendor's own host, whole or relative, is fetched without the key."""
    vendor.reply(raw(b"the picture"))

    data = await download_picture(place.format(url=vendor.url), f"{vendor.url}/v1/")

    assert data == b"the picture"
    (request,) = vendor.requests
    assert (request.method, request.path) == ("GET", "/out/1.png?x=1")
    assert "Authorization" not in request.headers


UNSAFE = [
    pytest.param("http://127.0.0.1:{port}/1.png", id="plain http elsewhere"),
    pytest.param("//127.0.0.1:{port}/1.png", id="no scheme"),
    pytest.param("https://127.0.0.1:{port}/1.png", id="a private address"),
    pytest.param("https://2130706433:{port}/1.png", id="an address as one number"),
    pytest.param("https://127.1:{port}/1.png", id="a short address"),
    pytest.param("https://[::1]:{port}/1.png", id="IPv6"),
    pytest.param("https://[::ffff:127.0.0.1]:{port}/1.png", id="IPv4 in IPv6"),
    pytest.param("https://①②⑦.⓪.⓪.①:{port}/1.png", id="digits in circles"),
    pytest.param("https://169.254.169.254/latest/meta-data", id="the cloud's own address"),
    pytest.param("https://someone:word@pictures.example/1.png", id="with credentials"),
    pytest.param("http://pictures.example/1.png", id="plain http"),
    pytest.param("https://other.example/1.png", id="a host that is not on the list"),
    pytest.param("https://notpictures.example/1.png", id="one that only ends like it"),
    pytest.param("https://pictures.example.evil.example/1.png", id="one that only begins like it"),
    pytest.param("https://localhost:{port}/1.png", id="a name for a private address"),
    pytest.param("https://0x7f.1:{port}/1.png", id="an address in hexadecimal"),
    pytest.param("file:///etc/hostname", id="a file"),
    pytest.param("ftp://example.invalid/1.png", id="ftp"),
    pytest.param("javascript:alert(1)", id="a script"),
]
# Some texts are no address at all.
UNREADABLE = [
    pytest.param("http://[::1", id="no address"),
    pytest.param("https://pictures.example:99999/1.png", id="no port"),
    pytest.param("https://xn--a.pictures.example/1.png", id="no name"),
]


@pytest.mark.parametrize("place", [*UNSAFE, *UNREADABLE])
async def test_other_addresses_are_not_fetched(vendor: FakeVendor, place: str) -> None:
    """Whatever a vendor answers with, no other server near the bot sees a connection for it."""
    connections: list[asyncio.StreamWriter] = []
    listener = await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1", 0)
    url = place.format(port=listener.sockets[0].getsockname()[1])

    async with listener:
        with pytest.raises(Unavailable) as error:
            await download_picture(url, vendor.url, ["pictures.example"])
        await asyncio.sleep(0)

    assert connections == []
    assert vendor.requests == []
    assert error.value.maybe_billed
    assert ("not safe to fetch" in error.value.detail) == (place in [unsafe.values[0] for unsafe in UNSAFE])


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(json_reply({"error": "gone"}, 404), id="404"),
        pytest.param(RESET, id="reset"),
        pytest.param(broken(raw(small_png()), after=20), id="broken off"),
        pytest.param(
            dataclasses.replace(oversized(DOWNLOAD_BYTES, "image/png"), ending="stall"), id="more than 25 MiB"
        ),
    ],
)
async def test_a_download_that_fails_is_the_vendors_failure(vendor: FakeVendor, reply: Reply) -> None:
    """The picture was made before it could not be fetched, so it may cost."""
    vendor.reply(reply, reply)  # a GET may be sent again when its connection is lost

    async with asyncio.timeout(10):
        with pytest.raises(Unavailable) as error:
            await download_picture("/1.png", vendor.url)

    assert error.value.maybe_billed


async def test_a_redirect_is_not_followed(vendor: FakeVendor) -> None:
    """Not even the vendor's own host may send the bot elsewhere."""
    async with FakeVendor() as other:
        vendor.reply(redirect(f"{other.url}/1.png"))

        with pytest.raises(Unavailable) as error:
            await download_picture("/1.png", vendor.url)

        assert other.requests == []
    assert "307" in error.value.detail
