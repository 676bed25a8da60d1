"""Who a visitor is."""

import ipaddress

from starlette.requests import HTTPConnection


def visitor_of(connection: HTTPConnection) -> str:
    """Returns the visitor who sent a request."""
    return visitor_at(connection.client.host if connection.client else "")


def visitor_at(host: str) -> str:
    """Returns the visitor at an address: the address, or of IPv6 the network of 64 bits, which one household shares.

    >>> visitor_at("192.0.2.7"), visitor_at("2001:db8::7")
    ('192.0.2.7', '2001:db8::')
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return host


def is_among(host: str, network: str | None) -> bool:
    """Tells whether the address `host` is `network`, an address or a network such as 10.0.0.0/8, or in it."""
    try:
        return network is not None and ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
