"""Good enough? Keep the reply, or go on to the next Route."""

from __future__ import annotations

from homeport.errors import BrokeMidStream
from homeport.rules import quality
from homeport.vocabulary import Reply


class Review:
    """Judges a held reply (step `review`); a streamed one has been shown already."""

    def __call__(self, reply: Reply) -> None:
        """Nothing where it is fine. Raises BrokeMidStream, so that the next Route is tried, where it is no answer."""
        fault = quality.fault(reply) if reply.body is not None else None
        if fault is not None:
            raise BrokeMidStream(f"it answered {fault}")
