"""The memory of a long night: what is asked of the C library, and that another one is done without."""

import ctypes
import gc

import pytest

from auditor.core import runtime


def test_what_is_free_is_given_back_and_threads_share_a_heap(monkeypatch):
    asked = []
    monkeypatch.setattr(
        runtime, "_find_glibc_function", lambda name: lambda *given: asked.append((name, *given))
    )
    runtime.limit_malloc_arenas()
    runtime.release_free_memory()
    assert asked == [("mallopt", runtime.M_ARENA_MAX, 1), ("malloc_trim", 0)]


def test_another_c_library_is_done_without(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert runtime._find_glibc_function.__wrapped__("malloc_trim") is None
    monkeypatch.setattr(runtime, "_find_glibc_function", lambda _: None)
    runtime.limit_malloc_arenas()
    runtime.release_free_memory()


def test_garbage_is_collected_as_before_once_conclusions_are_drawn_or_fail():
    before = gc.get_threshold()
    with runtime.reduce_garbage_collection():
        assert gc.get_threshold() == runtime.REDUCED_GC_THRESHOLDS
    assert gc.get_threshold() == before
    with pytest.raises(ValueError, match="a bug"), runtime.reduce_garbage_collection():
        raise ValueError("a bug")
    assert gc.get_threshold() == before
