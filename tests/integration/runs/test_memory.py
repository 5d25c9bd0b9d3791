"""The memory of a run: settings of the C library and garbage collection."""

import ctypes
import gc

import pytest

from auditor.core import runtime


def test_free_memory_is_released_and_threads_share_a_heap(monkeypatch):
    calls = []
    monkeypatch.setattr(
        runtime, "_find_glibc_function", lambda name: lambda *args: calls.append((name, *args))
    )
    runtime.limit_malloc_arenas()
    runtime.release_free_memory()
    assert calls == [("mallopt", runtime.M_ARENA_MAX, 1), ("malloc_trim", 0)]


def test_other_c_library_is_ignored(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert runtime._find_glibc_function.__wrapped__("malloc_trim") is None
    monkeypatch.setattr(runtime, "_find_glibc_function", lambda _: None)
    runtime.limit_malloc_arenas()
    runtime.release_free_memory()


def test_garbage_collection_is_restored_after_evaluation():
    threshold_before = gc.get_threshold()
    with runtime.reduce_garbage_collection():
        assert gc.get_threshold() == runtime.REDUCED_GC_THRESHOLDS
    assert gc.get_threshold() == threshold_before
    with pytest.raises(ValueError, match="a bug"), runtime.reduce_garbage_collection():
        raise ValueError("a bug")
    assert gc.get_threshold() == threshold_before
