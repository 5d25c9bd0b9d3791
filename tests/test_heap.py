"""What was freed goes back to the system, and a system that sees to it itself is let be."""

import ctypes

from auditor import heap


def test_what_was_freed_is_given_back(monkeypatch):
    asked = []
    monkeypatch.setattr(heap, "_trim", lambda: asked.append)
    heap.give_back()
    assert asked == [0]


def test_a_c_library_without_a_way_to_do_so_is_let_be(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert heap._trim.__wrapped__() is None
    monkeypatch.setattr(heap, "_trim", lambda: None)
    heap.give_back()
