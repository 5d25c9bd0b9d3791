"""The memory of a long night: what is asked of the C library, and that another one is done without."""

import ctypes
import gc

import pytest

from auditor.runs import memory


def test_what_is_free_is_given_back_and_threads_share_a_heap(monkeypatch):
    asked = []
    monkeypatch.setattr(memory, "_of_glibc", lambda name: lambda *given: asked.append((name, *given)))
    memory.share()
    memory.give_back()
    assert asked == [("mallopt", memory.ARENA_MAX, 1), ("malloc_trim", 0)]


def test_another_c_library_is_done_without(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert memory._of_glibc.__wrapped__("malloc_trim") is None
    monkeypatch.setattr(memory, "_of_glibc", lambda _: None)
    memory.share()
    memory.give_back()


def test_garbage_is_collected_as_before_once_conclusions_are_drawn_or_fail():
    before = gc.get_threshold()
    with memory.seldom_collected():
        assert gc.get_threshold() == memory.SELDOM
    assert gc.get_threshold() == before
    with pytest.raises(ValueError, match="a bug"), memory.seldom_collected():
        raise ValueError("a bug")
    assert gc.get_threshold() == before
