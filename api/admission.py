"""Who may ask, and how often: keys, and limits a minute by key or by address."""

import asyncio
import math
import time
from typing import TYPE_CHECKING

import limits
from limits.aio.storage import Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import ConfigurationError
from limits.storage import storage_from_string

from api.errors import InvalidKeyError, MissingKeyError, SlowDownError, UnreachableKeysError
from translator.errors import ConfigError

if TYPE_CHECKING:  # beside SQLAlchemy, which only a service with keys needs
    from api.keys import ApiKey, KeyStore


class Admission:
    """The door of the service.

    Args:
        keys: The keys there are; None asks nobody for one.
        required: Whether it takes one to come in; otherwise a key only has a limit of its own.
        limit: Requests that an address, or a key without a limit of its own, may make, as "60/minute"; None is any.
        storage: Where they are counted: `memory://`, or `redis://host:6379` for several processes.

    Raises:
        ConfigError: The limit or the storage cannot be understood.
    """

    def __init__(
        self,
        keys: "KeyStore | None" = None,
        *,
        required: bool = False,
        limit: str | None = None,
        storage: str = "memory://",
    ) -> None:
        """Opens nothing yet."""
        self._keys, self._required = keys, required
        try:
            self._limit = limits.parse(limit) if limit else None
            counted: Storage = storage_from_string(f"async+{storage}")  # type: ignore[assignment]
        except (ValueError, ConfigurationError) as error:
            raise ConfigError(
                f"The rate limit cannot be kept: {error}. Write it as 60/minute, and its storage as memory:// or "
                "redis://host:6379, which needs the package coredis."
            ) from None
        self._limiter = MovingWindowRateLimiter(counted)

    @property
    def knows_keys(self) -> bool:
        """Whether keys mean anything here."""
        return self._keys is not None

    @property
    def key_required(self) -> bool:
        """Whether nobody comes in without one."""
        return self._keys is not None and self._required

    async def identify(self, key: str) -> "ApiKey | None":
        """Returns whose a key is; None where nobody needs one.

        Raises:
            InvalidKeyError: It is none of ours.
            MissingKeyError: There is none, and it takes one.
            UnreachableKeysError: The keys cannot be read at the moment.
        """
        if self._keys is None:
            return None
        if not key:
            if self._required:
                raise MissingKeyError
            return None
        try:
            found = await asyncio.to_thread(self._keys.find, key)
        except ConfigError as error:
            raise UnreachableKeysError from error
        if found is None:
            raise InvalidKeyError
        return found

    async def admit(self, key: str, address: str) -> None:
        """Lets a request in, and counts it.

        Args:
            key: That came with it; empty for none.
            address: That it came from.

        Raises:
            InvalidKeyError: The key is none of ours.
            MissingKeyError: There is none, and it takes one.
            UnreachableKeysError: The keys cannot be read at the moment.
            SlowDownError: It is one too many.
        """
        known = await self.identify(key)
        limit = self._limit
        if known is not None and known.requests_per_minute is not None:
            limit = limits.RateLimitItemPerMinute(known.requests_per_minute)
        if limit is None:
            return
        who = ("key", known.name) if known is not None else ("address", address)
        if not await self._limiter.hit(limit, *who):
            free_again = (await self._limiter.get_window_stats(limit, *who)).reset_time
            raise SlowDownError(str(limit), retry_after_seconds=max(1, math.ceil(free_again - time.time())))
