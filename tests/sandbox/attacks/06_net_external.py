# kind: A   the internet: a route, a name, a raw socket, another network interface
import os
import socket


def test_attack(record_property):
    ok = []
    for family, address in ((socket.AF_INET, ("192.0.2.1", 53)), (socket.AF_INET6, ("2001:db8::1", 53))):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as udp:
                udp.connect(address)  # sends nothing; succeeds where there is a route
                ok.append(f"route to {address[0]}")
        except OSError as error:
            record_property("err", f"{address}: {error}")
    try:
        with socket.create_connection(("192.0.2.1", 80), timeout=2):
            ok.append("tcp")
    except OSError as error:
        record_property("err", f"tcp: {error}")
    try:
        ok.append(str(socket.getaddrinfo("deb.debian.org", 80)))
    except OSError as error:
        record_property("err", f"dns: {error}")
    for family, kind in ((socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_INET, socket.SOCK_RAW)):
        try:
            socket.socket(family, kind, 1).close()
            ok.append(f"raw {family}")
        except OSError as error:
            record_property("err", f"raw {family}: {error}")
    try:
        ok += [name for name in os.listdir("/sys/class/net") if name not in ("lo", "bonding_masters")]
    except OSError as error:
        record_property("err", f"interfaces: {error}")
    record_property("ok", str(ok))
    assert ok, "no network"
