"""The memory of a long night: what is asked of the C library, and that another one is done without."""

import ctypes

from auditor import heap


def test_what_is_free_is_given_back_and_threads_share_a_heap(monkeypatch):
    asked = []
    monkeypatch.setattr(heap, "_of_glibc", lambda name: lambda *given: asked.append((name, *given)))
    heap.share()
    heap.give_back()
    assert asked == [("mallopt", heap.ARENA_MAX, 1), ("malloc_trim", 0)]


def test_another_c_library_is_done_without(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert heap._of_glibc.__wrapped__("malloc_trim") is None
    monkeypatch.setattr(heap, "_of_glibc", lambda _: None)
    heap.share()
    heap.give_back()
