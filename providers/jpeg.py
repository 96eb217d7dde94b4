"""JPEG files that are small to send and take minutes to read: told before anything reads them.

A progressive JPEG may hold any number of scans, of which a few bytes each go over all of its pixels. And
Pillow joins the pieces of EXIF data, each time anew. Cameras and programs write a dozen of either.
"""

from __future__ import annotations

import re

MOST_SCANS = 100
MOST_SEGMENTS = 1000

# Stuffed bytes (FF 00) and restarts are no segments but part of a scan.
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
_SCAN, _END = b"\xda", b"\xd9"
# What follows these, Pillow reads as further segments, whatever length it begins with.
_WITHOUT_CONTENT = frozenset(bytes([kind]) for kind in (0xC8, 0xD8, *range(0xF0, 0xFE)))


def takes_too_long(data: bytes) -> bool:
    """Whether this is a JPEG with more scans or segments than any picture needs."""
    if not data.startswith(b"\xff\xd8\xff"):
        return False
    scans = segments = place = 0
    while match := _MARKER.search(data, place):
        kind, place = match[1], match.end()
        if kind == _END and scans:  # other files may follow, such as the film of a "motion photo"
            break
        segments += 1
        scans += kind == _SCAN
        if scans > MOST_SCANS or segments > MOST_SEGMENTS:
            return True
        if kind != _END and kind not in _WITHOUT_CONTENT:
            place += int.from_bytes(data[place : place + 2])
    return False
