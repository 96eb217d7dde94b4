"""The tables. Snowflakes are Discord's own ids; `id` columns are ours. Times are UTC seconds since 1970.

The migrations make them. What is `sqlite_where` here is partial on PostgreSQL too, as they say: saying it
here as well would load that dialect on every start (2 MiB).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, MetaData, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# BIGSERIAL on PostgreSQL; on SQLite only INTEGER counts up by itself, and holds 64 bits there.
RowId = BigInteger().with_variant(Integer(), "sqlite")


class Base(DeclarativeBase):
    """What all tables share: constraint names that migrations can rely on."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {int: BigInteger(), str: Text()}  # noqa: RUF012 (SQLAlchemy reads it as it stands)


class Request(Base):
    """One `/ask` or `/imagine`, from the moment it was admitted. A replayed interaction meets its unique id.

    While open it holds a reservation of what it may use at most; closed, the reservation is 0.
    """

    __tablename__ = "requests"
    __table_args__ = (
        UniqueConstraint("interaction_id"),
        Index("ix_requests_open", "id", sqlite_where=text("open")),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    interaction_id: Mapped[int]
    guild_id: Mapped[int]  # 0 in direct messages
    channel_id: Mapped[int]
    user_id: Mapped[int]
    command: Mapped[str]
    created_at: Mapped[int]
    open: Mapped[bool]
    reserved_tokens: Mapped[int]
    reserved_pictures: Mapped[int]
    outcome: Mapped[str]  # "" while open; then answered, partial, failed or lost


class Attempt(Base):
    """The ledger: one request to one target, committed as `sent` before it leaves.

    It ends exactly once as `settled` (the vendor's figures), `estimated` (ours) or `unbilled`.
    While it is `sent`, its tokens and pictures are the most it may use.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("interaction_id", "attempt"),
        Index("ix_attempts_sent", "id", sqlite_where=text("state = 'sent'")),
        Index(None, "sent_at"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    interaction_id: Mapped[int] = mapped_column(ForeignKey("requests.interaction_id"))
    attempt: Mapped[int]  # 1, 2, ...
    guild_id: Mapped[int]
    channel_id: Mapped[int]
    user_id: Mapped[int]
    command: Mapped[str]
    provider: Mapped[str]
    model: Mapped[str]
    key_variable: Mapped[str]  # the setting that holds the key, never the key
    sent_at: Mapped[int]
    ended_at: Mapped[int | None]
    state: Mapped[str]
    usage_source: Mapped[str]  # provider, tokenizer (ours), cap (the reservation), or "" for none
    error_class: Mapped[str]
    prompt_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    cached_tokens: Mapped[int]
    reasoning_tokens: Mapped[int]
    pictures: Mapped[int]


class HistoryEntry(Base):
    """One message of a channel's conversation. A turn is one question with its answer, written together."""

    __tablename__ = "history"
    __table_args__ = (
        UniqueConstraint("turn_id", "role"),
        Index(None, "channel_id", "id"),
        Index(None, "user_id"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    turn_id: Mapped[int] = mapped_column(ForeignKey("requests.id"))
    guild_id: Mapped[int]
    channel_id: Mapped[int]
    user_id: Mapped[int]  # who asked
    role: Mapped[str]
    content: Mapped[str]
    created_at: Mapped[int]


class HourlyUsage(Base):
    """The roll-up that reports read: sums over ended attempts, by the hour in which they were sent."""

    __tablename__ = "usage_hourly"
    __table_args__ = (Index(None, "user_id", "hour"), Index(None, "hour"))

    guild_id: Mapped[int] = mapped_column(primary_key=True)
    hour: Mapped[int] = mapped_column(primary_key=True)  # seconds since 1970, a multiple of 3600
    channel_id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(primary_key=True)
    command: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    requests: Mapped[int]  # attempts that may cost
    failures: Mapped[int]  # attempts that cost nothing
    prompt_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    estimated_tokens: Mapped[int]  # of both, how many no vendor has counted
    pictures: Mapped[int]


class KeyState(Base):
    """What the key pool knows of an account, a key or a model that is not ready. Keys are fingerprints."""

    __tablename__ = "key_states"

    provider: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str] = mapped_column(primary_key=True)  # account's label, key's fingerprint, or "" (model)
    model: Mapped[str] = mapped_column(primary_key=True)  # "": the key, for every model
    status: Mapped[str]
    until: Mapped[int | None]  # NULL: until the host changes something
    reason: Mapped[str]
    strikes: Mapped[int]
