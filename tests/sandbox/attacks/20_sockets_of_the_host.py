# kind: A   sockets through which others do things with more rights: docker, containerd, dbus, agents
import glob
import os
import socket
import stat


def test_attack(record_property):
    ok = []
    paths = [
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/dbus/system_bus_socket",
    ]
    paths += [os.environ.get("DOCKER_HOST", "").removeprefix("unix://"), os.environ.get("SSH_AUTH_SOCK", "")]
    for pattern in ("/run/*", "/run/*/*", "/tmp/*", "/tmp/*/*", "/var/run/*", "/var/lib/*/*", "/var/tmp/*/*"):
        paths += glob.glob(pattern)
    for path in filter(None, dict.fromkeys(paths)):
        try:
            if not stat.S_ISSOCK(os.stat(path).st_mode):
                continue
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(1)
                client.connect(path)
                ok.append(path)
        except OSError as error:
            record_property("err", f"{path}: {error}")
    record_property("ok", str(ok))
    assert ok, "no sockets"
