"""Who sends a request: the holder of an API key, or else an address. Each caller has a share of the service.

Behind a proxy, every request comes from the proxy's address. The proxy states the caller's address in X-Forwarded-For. Anyone
can send this header, so it counts only if the request comes from a proxy that GANVAS_TRUSTED_PROXIES lists.
"""

import hashlib
import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import Scope

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

IPV6_SITE = 64  # bits of an IPv6 address that identify a site; its hosts choose the rest themselves


def caller_of(scope: Scope, key: str | None, proxies: Sequence[Network]) -> str:
    """Name the caller of a request.

    Args:
        scope: of the request.
        key: its API key, if it was accepted.
        proxies: the networks of the proxies that are trusted.

    Returns:
        the same name for all requests of one key, or of one IPv4 address or IPv6 site. It does not reveal the key.
    """
    if key is not None:
        return "key " + hashlib.sha256(key.encode()).hexdigest()[:16]
    address = _address_of((scope.get("client") or ("",))[0])
    if address is None:
        return "unknown"
    if _is_in(address, proxies):
        forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
        for hop in reversed(forwarded.split(",")):  # each proxy appends the address that it saw
            seen = _address_of(hop)
            if seen is None:
                break  # nothing before this is known
            address = seen
            if not _is_in(address, proxies):
                break
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, IPV6_SITE), strict=False))
    return str(address)


def _is_in(address: Address, proxies: Sequence[Network]) -> bool:
    return any(address in network for network in proxies)


def _address_of(text: str) -> Address | None:
    """Read an address, which may have a port."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
