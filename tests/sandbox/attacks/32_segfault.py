# kind: I   dies in the middle, after a test that fails, so that half a report might pass for a whole one
import ctypes


def test_a():
    assert 1 == 2


def test_b():
    ctypes.string_at(0)
