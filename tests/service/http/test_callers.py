import ipaddress

import pytest

from service.http.callers import caller_of

PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]


def caller(address: str, *forwarded: str, key: str | None = None) -> str:
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    return caller_of({"type": "http", "client": (address, 5000), "headers": headers}, key, PROXIES)


def test_caller_is_the_holder_of_a_key_or_an_address() -> None:
    assert caller("1.2.3.4") == "1.2.3.4"
    assert caller("1.2.3.4", key="secret") == caller("9.9.9.9", key="secret") != caller("1.2.3.4", key="other")
    assert "secret" not in caller("1.2.3.4", key="secret")


@pytest.mark.parametrize(
    ("address", "forwarded", "expected"),
    [
        ("1.2.3.4", ["9.9.9.9"], "1.2.3.4"),  # not from a trusted proxy
        ("10.0.0.1", ["9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["6.6.6.6, 9.9.9.9"], "9.9.9.9"),  # the first is what the caller claims
        ("10.0.0.1", ["6.6.6.6", "9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["9.9.9.9, 10.2.2.2"], "9.9.9.9"),  # two proxies
        ("10.0.0.1", ["9.9.9.9:443"], "9.9.9.9"),
        ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::/64"),
        ("10.0.0.1", ["9.9.9.9, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["10.3.3.3"], "10.3.3.3"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("fd00::1", ["9.9.9.9"], "9.9.9.9"),
        ("::ffff:1.2.3.4", [], "1.2.3.4"),
        ("::ffff:10.0.0.1", ["9.9.9.9"], "9.9.9.9"),
    ],
)
def test_x_forwarded_for_counts_only_from_a_trusted_proxy(address: str, forwarded: list[str], expected: str) -> None:
    assert caller(address, *forwarded) == expected


def test_hosts_of_one_ipv6_site_are_one_caller() -> None:
    assert caller("2001:db8::1") == caller("2001:db8::ffff:1") != caller("2001:db8:0:1::1")


def test_caller_of_a_unix_socket_is_unknown() -> None:
    assert caller_of({"type": "http", "client": None, "headers": []}, None, PROXIES) == "unknown"
