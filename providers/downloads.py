"""Fetching a picture from an address that a vendor's answer names, without being led astray."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from providers.pictures import broken_picture

DOWNLOAD_BYTES = 25 * 1024 * 1024
DOWNLOAD_SECONDS = 20.0
# IPv6 networks whose last 32 bits are an IPv4 address: mapped, translated twice over, the old compatible.
HOLD_IPV4 = tuple(map(ipaddress.IPv6Network, ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "::/96")))
# Special ones that Python takes for public; in the first a cloud keeps its metadata.
SPECIAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48")))


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only, at the moment of connecting.

    Checked here and not on the URL, so that a name whose address changes in between gains nothing: what is
    returned is what is connected to. `resolver` is whom it asks.
    """

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of `host`. Raises OSError when one of them is not public."""
        results = await self._resolver.resolve(host, port, family)
        if not all(is_public(result["host"]) for result in results):
            raise OSError(f"{host} has an address that is not public")
        return results

    async def close(self) -> None:
        """Nothing is held open."""
        await self._resolver.close()


def is_public(host: str) -> bool:
    """Whether `host` is an IP address that the whole internet can reach."""
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if any(address in network for network in HOLD_IPV4):
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        elif address.is_site_local or address.sixtofour is not None:
            return False
    if any(address in network for network in SPECIAL):
        return False
    return address.is_global and not address.is_multicast


async def download_picture(
    url: str, base_url: str, hosts: Sequence[str] = (), resolver: AbstractResolver | None = None
) -> bytes:
    """Fetch the picture at `url`, an address that the vendor at `base_url` answered with.

    Taken are addresses of the vendor's own host, which may be a server at home, and https addresses of
    `hosts` and of hosts below them, as long as they are public. No redirects, no credentials, 25 MiB and 20 s
    at most. Raises UnusablePicture. `resolver` is who is asked for the address of a name.
    """
    base = URL(base_url)
    try:
        target = base.join(URL(url))
        host = target.host or ""  # its name is read only now
        own_host = target.absolute and bool(host) and target.origin() == base.origin()
    except ValueError:
        raise broken_picture("the vendor answered with an address that cannot be read") from None
    if not own_host:
        known = any(host == name or host.endswith(f".{name}") for name in hosts)
        if target.scheme != "https" or target.user or not known or _is_literal(host):
            raise broken_picture(
                f"the vendor answered with an address that is not safe to fetch: {host[:80]!a}"
            )
    connector = aiohttp.TCPConnector(resolver=None if own_host else PublicResolver(resolver))
    timeout = aiohttp.ClientTimeout(total=DOWNLOAD_SECONDS)
    try:
        async with (
            # Compressed replies are not unpacked: a picture hardly shrinks, but a bomb does.
            aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                trust_env=False,
                auto_decompress=False,
                headers={"Accept-Encoding": "identity"},
            ) as session,
            session.get(target, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise broken_picture(f"the picture's address answered with {response.status}")
            data = bytearray()
            async for chunk in response.content.iter_any():
                data += chunk
                if len(data) > DOWNLOAD_BYTES:
                    raise broken_picture("the picture is larger than 25 MiB")
            return bytes(data)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise broken_picture(f"the picture could not be fetched: {type(error).__name__}") from None


def _is_literal(host: str) -> bool:
    """Whether `host` is an address and not a name: nobody would resolve it, and so nobody check it."""
    return ":" in host or host.replace(".", "").isdigit()
