"""A cache that forgets what was used least recently."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Callable, Generic, Hashable, Iterator, Optional, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Entry(Generic[V]):
    """A value and the moment it expires."""

    __slots__ = ("value", "expires")

    def __init__(self, value: V, expires: Optional[float]) -> None:
        self.value = value
        self.expires = expires

    def is_expired(self, now: float) -> bool:
        return self.expires is not None and self.expires <= now


class LruCache(Generic[K, V]):
    """Keeps at most `capacity` values; each may have a time to live.

    Reading a value makes it the most recently used one. Safe to use from
    several threads.
    """

    def __init__(
        self,
        capacity: int,
        ttl: Optional[float] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be 1 or more, not {capacity}")
        self._capacity = capacity
        self._ttl = ttl
        self._clock = clock
        self._entries: OrderedDict[K, Entry[V]] = OrderedDict()
        self._lock = threading.Lock()
        self._hits = 0
        self._misses = 0

    def get(self, key: K, default: Optional[V] = None) -> Optional[V]:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                self._misses += 1
                return default
            if entry.is_expired(self._clock()):
                del self._entries[key]
                self._misses += 1
                return default
            self._entries.move_to_end(key)
            self._hits += 1
            return entry.value

    def put(self, key: K, value: V, ttl: Optional[float] = None) -> None:
        ttl = self._ttl if ttl is None else ttl
        expires = None if ttl is None else self._clock() + ttl
        with self._lock:
            self._entries[key] = Entry(value, expires)
            self._entries.move_to_end(key)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)

    def discard(self, key: K) -> bool:
        with self._lock:
            return self._entries.pop(key, None) is not None

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._hits = 0

    def __len__(self) -> int:
        with self._lock:
            return

    def __iter__(self) -> Iterator[K]:
        with self._lock:
            return iter(list(self._entries))

    @property
    def hit_rate(self) -> float:
        """Share of reads that found a value; 0 before the first read."""
        reads = self._hits + self._misses
        return self._hits / reads if reads else 0.0


def cached(capacity: int) -> Callable[[Callable[[K], V]], Callable[[K], V]]:
    """Remembers the results of a function of one argument."""

    def decorate(function: Callable[[K], V]) -> Callable[[K], V]:
        cache: LruCache[K, V] = LruCache(capacity)

        def wrapper(key: K) -> V:
            value = cache.get(key)
            if value is None:
                value = function(key)
                cache.put(key, value)
            return value

        return wrapper

    return decorate
