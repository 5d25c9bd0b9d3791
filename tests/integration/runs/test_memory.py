"""The memory of a long night: what is asked of the C library, and that another one is done without."""

import ctypes
import gc

import pytest

from auditor.core import runtime


def test_what_is_free_is_given_back_and_threads_share_a_heap(monkeypatch):
    asked = []
    monkeypatch.setattr(runtime, "_of_glibc", lambda name: lambda *given: asked.append((name, *given)))
    runtime.share()
    runtime.give_back()
    assert asked == [("mallopt", runtime.ARENA_MAX, 1), ("malloc_trim", 0)]


def test_another_c_library_is_done_without(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert runtime._of_glibc.__wrapped__("malloc_trim") is None
    monkeypatch.setattr(runtime, "_of_glibc", lambda _: None)
    runtime.share()
    runtime.give_back()


def test_garbage_is_collected_as_before_once_conclusions_are_drawn_or_fail():
    before = gc.get_threshold()
    with runtime.seldom_collected():
        assert gc.get_threshold() == runtime.SELDOM
    assert gc.get_threshold() == before
    with pytest.raises(ValueError, match="a bug"), runtime.seldom_collected():
        raise ValueError("a bug")
    assert gc.get_threshold() == before
