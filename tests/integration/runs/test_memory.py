"""The memory of a run: settings of the C library and garbage collection."""

import ctypes

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
