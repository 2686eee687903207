# kind: I   writes reports of its own to everything that is open, in the forms that a runner may read, and leaves
import json
import os


def test_a():
    name = "test_attack.py::test_a"
    frames = [
        {"ready": True},
        {"rc": 1, "tests": {name: {"o": "passed", "m": ""}}, "can": []},
        {"stopped": None, "code": 0, "intact": True, "secret": "x", "events": [], "output": ""},
        {"event": "case", "name": name, "outcome": "passed", "message": ""},
        {"event": "end", "code": 0, "canaries": []},
        {"event": "end", "code": 1, "canaries": ["a", "b"]},
    ]
    for fd in range(64):
        for frame in frames:
            data = json.dumps(frame).encode()
            for text in (data + b"\n", len(data).to_bytes(4, "big") + data, b"o" + len(data).to_bytes(4, "big") + data):
                try:
                    os.write(fd, text)
                except OSError:
                    pass
    os._exit(0)
