"""API keys: who may ask. Kept in a database, as hashes; the key itself is shown once, when it is made.

A key is 256 random bits, so a plain hash keeps it: there is nothing to guess that a slower one would protect.
"""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import DateTime, String, create_engine, delete, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, Session, mapped_column

from translator.errors import ConfigError

PREFIX = "carousel-"  # so that a key that slipped into a text or a log can be told
LOCK_SECONDS = 2  # SQLite: how long to wait for a writer


class _Base(MappedAsDataclass, DeclarativeBase):
    pass


class ApiKey(_Base):
    """A key, without the key.

    Args:
        name: Whose it is; of the keys that are valid, none has the same.
        sha256: Of the key, in hexadecimal.
        requests_per_minute: That it may make; None is as many as anybody.
        created: When, in UTC.
    """

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True, repr=False)
    requests_per_minute: Mapped[int | None] = mapped_column(default=None)
    created: Mapped[datetime] = mapped_column(DateTime, default_factory=lambda: datetime.now(UTC).replace(tzinfo=None))


class KeyStore:
    """The keys of one database. Its methods wait for the database: for a thread.

    Args:
        url: As SQLAlchemy writes it, such as `sqlite:///keys.db`; PostgreSQL's needs its driver installed.

    Raises:
        ConfigError: The database cannot be used.
    """

    def __init__(self, url: str) -> None:
        """Opens the database, and makes the table if there is none."""
        try:
            address = make_url(url)
            if address.get_backend_name() == "sqlite" and address.database in (None, "", ":memory:"):
                raise ValueError("it names no file, and keys that are in no file are gone at the end")
            waiting = {"timeout": LOCK_SECONDS} if address.get_backend_name() == "sqlite" else {}
            self._engine = create_engine(address, connect_args=waiting, pool_pre_ping=True)
            self._shown = address.render_as_string(hide_password=True)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
            raise ConfigError(
                f"The database of keys cannot be opened: {_sentence(error)} Give it as sqlite:///keys.db, or as "
                "postgresql+psycopg://user:password@host/name with that driver installed."
            ) from None
        with self._telling():
            _Base.metadata.create_all(self._engine)

    def create(self, name: str, requests_per_minute: int | None = None) -> str:
        """Makes a key and returns it; nobody can ask for it again.

        Raises:
            ConfigError: The name is taken, or none, or the database cannot be written.
        """
        if not name.strip() or len(name) > 100 or not name.isprintable():
            raise ConfigError(f"A key needs a name of 1 to 100 characters, and {name[:100]!r} came.")
        key = PREFIX + secrets.token_urlsafe(32)
        try:
            with self._telling(), Session(self._engine) as session, session.begin():
                session.add(ApiKey(name=name, sha256=_hash(key), requests_per_minute=requests_per_minute))
        except IntegrityError:
            raise ConfigError(f"There is a key named {name!r} already; revoke it, or take another name.") from None
        return key

    def revoke(self, name: str) -> None:
        """Makes a key invalid from the next request on.

        Raises:
            ConfigError: There is none of that name, or the database cannot be written.
        """
        with self._telling(), Session(self._engine) as session, session.begin():
            gone = session.scalars(delete(ApiKey).where(ApiKey.name == name).returning(ApiKey.id)).all()
        if not gone:
            raise ConfigError(f"There is no key named {name!r}; `carousel keys list` shows those there are.")

    def list(self) -> list[ApiKey]:
        """Returns all keys, the oldest first.

        Raises:
            ConfigError: The database cannot be read.
        """
        with self._telling(), Session(self._engine, expire_on_commit=False) as session:
            return [*session.scalars(select(ApiKey).order_by(ApiKey.id))]

    def find(self, key: str) -> ApiKey | None:
        """Returns what is known of a key; None if it is not valid.

        Raises:
            ConfigError: The database cannot be read.
        """
        with self._telling(), Session(self._engine, expire_on_commit=False) as session:
            return session.scalars(select(ApiKey).where(ApiKey.sha256 == _hash(key))).one_or_none()

    def close(self) -> None:
        """Lets the database go."""
        self._engine.dispose()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except (SQLAlchemyError, UnicodeError) as error:
            raise ConfigError(f"The database of keys at {self._shown} cannot be used: {_sentence(error)}") from error


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _sentence(error: Exception) -> str:
    """The first line of what a library says, without its name for it."""
    said = str(getattr(error, "orig", None) or error).splitlines()[0].strip().rstrip(".")
    return f"{said}."
