"""Which of many texts occur in a stream of passages, in time that grows with the passages and not with the texts."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Needles"]


class Needles:
    """Texts to find, whole words only. A text that was found is not looked for again.

    Every text waits under its longest word. A passage is compared only with the texts that wait under one of its own
    words, so most passages cost one intersection of two sets.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """Takes normalised texts: lower case, words with single spaces between them. Empty ones are left out."""
        self.found: dict[str, str] = {}
        self._waiting: dict[str, set[str]] = {}
        for text in set(texts) - {""}:
            self._waiting.setdefault(_key(text), set()).add(text)

    def look(self, passage_id: str, text: str, words: Iterable[str]) -> None:
        """Looks at one passage: notes in `found` (text -> id) the texts that it is the first to hold.

        Args:
            passage_id: id of the passage.
            text: of the passage, normalised.
            words: its words.
        """
        for word in self._waiting.keys() & words:
            padded = f" {text} "
            waiting = self._waiting[word]
            for needle in [needle for needle in waiting if f" {needle} " in padded]:
                self.found[needle] = passage_id
                waiting.discard(needle)
            if not waiting:
                del self._waiting[word]


def _key(text: str) -> str:
    return max(text.split(), key=lambda word: (len(word), word))
