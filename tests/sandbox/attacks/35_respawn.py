# kind: R  timeout: 6   processes that start each other anew all the time, so that a list of them is old before it is read
import os
import time


def test_attack():
    for _ in range(8):
        if os.fork() == 0:
            os.setsid()
            end = time.time() + 60
            while time.time() < end:
                try:
                    if os.fork():
                        os._exit(0)
                except OSError:
                    pass
    time.sleep(0.5)
