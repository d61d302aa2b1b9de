"""Who may ask, and how often: keys, and limits a minute by key or by address."""

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import limits
from limits.aio.storage import Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from api.errors import InvalidKeyError, MissingKeyError, SlowDownError, UnreachableError
from translator.errors import ConfigError

if TYPE_CHECKING:  # beside SQLAlchemy, which only a service with keys needs
    from api.keys import ApiKey, KeyStore

KEYS_SECONDS = 5  # that a database has to say whose a key is


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
        # Threads of their own: a database that does not answer must not take those that make everybody's answers.
        self._readers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="keys")
        try:
            self._limit = limits.parse(limit) if limit else None
            if self._limit is not None and self._limit.amount < 1:
                raise ValueError("nobody could ask")
        except ValueError:
            raise ConfigError(f"The rate limit {limit!r} cannot be kept; write it as 60/minute.") from None
        try:
            # Left to choose, the library takes coredis, whose later versions it cannot open.
            client = {"implementation": "redispy"} if storage.startswith("redis") else {}
            counted: Storage = storage_from_string(f"async+{storage}", wrap_exceptions=True, **client)  # type: ignore[assignment]
        except (ValueError, ConfigurationError):
            kind = storage.partition(":")[0]  # no more of it: there may be a password behind
            raise ConfigError(
                f"Requests cannot be counted in {kind!r}; give memory://, or redis://host:6379 and the package redis."
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

    def close(self) -> None:
        """Lets the database go."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        if self._keys is not None:
            self._keys.close()

    async def identify(self, key: str) -> "ApiKey | None":
        """Returns whose a key is; None where nobody needs one.

        Raises:
            InvalidKeyError: It is none of ours.
            MissingKeyError: There is none, and it takes one.
            UnreachableError: The keys, or the counters, do not answer.
        """
        if self._keys is None:
            return None
        if not key:
            if self._required:
                raise MissingKeyError
            return None
        looking = asyncio.get_running_loop().run_in_executor(self._readers, self._keys.find, key)
        try:
            async with asyncio.timeout(KEYS_SECONDS):
                found = await looking
        except (ConfigError, TimeoutError) as error:
            raise UnreachableError("Keys cannot be checked at the moment; try again later") from error
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
            UnreachableError: The keys, or the counters, do not answer.
            SlowDownError: It is one too many.
        """
        try:
            known = await self.identify(key)
        except InvalidKeyError:
            await self._count(self._limit, "address", address)  # who tries keys out is slowed down like anybody
            raise
        if known is None:
            await self._count(self._limit, "address", address)
        elif known.requests_per_minute is None:
            await self._count(self._limit, "key", known.name)
        else:
            await self._count(limits.RateLimitItemPerMinute(known.requests_per_minute), "key", known.name)

    async def _count(self, limit: limits.RateLimitItem | None, *who: str) -> None:
        if limit is None:
            return
        try:
            taken = await self._limiter.hit(limit, *who)
            free_again = (await self._limiter.get_window_stats(limit, *who)).reset_time if not taken else 0
        except StorageError as error:
            raise UnreachableError("Requests cannot be counted at the moment; try again later") from error
        if not taken:
            raise SlowDownError(str(limit), retry_after_seconds=max(1, math.ceil(free_again - time.time())))
