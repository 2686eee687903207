# kind: I   leaves the interpreter with success before anything is collected, and once more from a thread
import os
import threading

threading.Timer(0.01, os._exit, (0,)).start()


def test_a():
    assert 1 == 2


os._exit(0)
