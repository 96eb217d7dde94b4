"""The tables. Snowflakes are Discord's own ids; `id` columns are ours. Times are UTC seconds since 1970.

The migrations make them. What is `sqlite_where` here is partial on PostgreSQL too, as they say: saying it
here as well would load that dialect on every start (2 MiB).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
    false,
    text,
)
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
    channel_id: Mapped[int]  # of a thread: the channel it belongs to
    user_id: Mapped[int]
    command: Mapped[str]
    created_at: Mapped[int]
    open: Mapped[bool]
    reserved_tokens: Mapped[int]
    reserved_pictures: Mapped[int]
    reserved_micros: Mapped[int] = mapped_column(server_default="0")
    role_ids: Mapped[str] = mapped_column(server_default="")  # those that have a budget, with commas between
    process: Mapped[int] = mapped_column(
        server_default=text("0")
    )  # that answers it; 0: the only one there is
    outcome: Mapped[str]  # "" while open; then answered, partial, failed or lost


class Response(Base):
    """How to reach whoever waits or was admitted, until the end of their answer has been shown to them."""

    __tablename__ = "responses"

    interaction_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    process: Mapped[int]  # that answers it, as in `requests`
    response: Mapped[str]  # an interaction's token, or a message's channel, sealed


class Attempt(Base):
    """The ledger: one request to one target, committed as `sent` before it leaves.

    It ends exactly once as `settled` (the vendor's figures), `estimated` (ours) or `unbilled`.
    While it is `sent`, its tokens, pictures, pixels and cost are the most it may use.
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
    pixels: Mapped[int] = mapped_column(server_default="0")  # of all its pictures
    cost_micros: Mapped[int | None]  # millionths of a dollar; NULL: unpriced; 0: it costs nothing
    price_date: Mapped[str] = mapped_column(server_default="")  # when the price was checked, as 2026-11-30
    fallback: Mapped[bool] = mapped_column(server_default=false())  # not the chain's first choice
    delivered: Mapped[str] = mapped_column(server_default="")  # full, partial, none; "": not known
    steps: Mapped[int] = mapped_column(server_default="0")  # of its picture; 0: it has none, or none is known
    queue_ms: Mapped[int | None]  # from the question to this request
    first_text_ms: Mapped[int | None]  # from this request to its first text
    total_ms: Mapped[int | None]  # from this request to its end


class HistoryEntry(Base):
    """One message of a conversation. A turn is one question with its answer, written together.

    A conversation is a channel's own, or one that a member has there in private. Its turns stand in the order
    in which their questions were admitted, which is that of their ids.
    """

    __tablename__ = "history"
    __table_args__ = (
        UniqueConstraint("turn_id", "role"),
        Index(None, "channel_id", "private_to", "turn_id"),
        Index(None, "user_id", "channel_id", "turn_id"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    turn_id: Mapped[int] = mapped_column(ForeignKey("requests.id"))
    guild_id: Mapped[int]
    channel_id: Mapped[int]
    user_id: Mapped[int]  # who asked
    role: Mapped[str]
    content: Mapped[str]
    created_at: Mapped[int]
    private_to: Mapped[int] = mapped_column(server_default=text("0"))  # 0: the channel's own conversation
    # Of a question: who asked by name, what text and how many pictures went along.
    speaker: Mapped[str] = mapped_column(server_default=text("''"))
    attached: Mapped[str] = mapped_column(server_default=text("''"))
    pictures: Mapped[int] = mapped_column(server_default=text("0"))
    finish_reason: Mapped[str] = mapped_column(server_default=text("''"))  # of an answer; "": not known
    model: Mapped[str] = mapped_column(server_default=text("''"))  # that was chosen for it; "": none was


class HistoryPicture(Base):
    """A picture that was asked about. It goes when its question goes."""

    __tablename__ = "history_pictures"

    entry_id: Mapped[int] = mapped_column(ForeignKey("history.id", ondelete="CASCADE"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)  # 0, 1, ...
    media_type: Mapped[str]
    data: Mapped[bytes]


class PictureSet(Base):
    """What an `/imagine` asked for and what was made: the buttons below the pictures name this row.

    The pictures themselves are on Discord alone.
    """

    __tablename__ = "pictures"
    __table_args__ = (Index(None, "user_id"),)

    id: Mapped[int] = mapped_column(ForeignKey("requests.id"), primary_key=True, autoincrement=False)
    guild_id: Mapped[int]
    channel_id: Mapped[int]
    user_id: Mapped[int]  # who asked
    prompt: Mapped[str]
    negative: Mapped[str]
    model: Mapped[str]  # as it was asked for; "": the chain's own choice
    width: Mapped[int]
    height: Mapped[int]
    seed: Mapped[int]  # of the first; each of the others has the next
    steps: Mapped[int | None]  # NULL: the model's default
    guidance: Mapped[float | None] = mapped_column(Double())
    count: Mapped[int]
    spoiler: Mapped[bool]
    private: Mapped[bool]
    made: Mapped[str]  # what each that came was made with, as a JSON list
    created_at: Mapped[int]


class Sums:
    """What a roll-up adds up, over ended attempts."""

    requests: Mapped[int]  # attempts that may cost
    failures: Mapped[int]  # attempts that vendors refused; they cost nothing
    prompt_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    estimated_tokens: Mapped[int]  # of both, how many no vendor has counted
    pictures: Mapped[int]
    pixels: Mapped[int]
    cost_micros: Mapped[int]  # of those requests that have a price
    unpriced: Mapped[int]  # requests without one
    estimated: Mapped[int]  # requests whose figures are ours
    fallbacks: Mapped[int]  # requests that did not go to the chain's first choice


class SlotUsage(Sums, Base):
    """The roll-up with everything that reports tell apart, by the quarter of an hour of sending.

    Not by the hour: days begin at half past in India and at a quarter to in Nepal, and a report's days are
    those of its server.
    """

    __tablename__ = "usage_slots"
    __table_args__ = (Index(None, "user_id", "slot"), {"sqlite_with_rowid": False})

    guild_id: Mapped[int] = mapped_column(primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True)  # seconds since 1970, a multiple of 900
    channel_id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(primary_key=True)
    command: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)


class SummedUsage(Sums, Base):
    """The same sums less detail, so that a month of a large server is read in milliseconds.

    `kind` says what a row is the sum of, and which of the columns after `time` it fills:

    - slot: a whole server in a quarter of an hour
    - day: a server's command, provider and model in a day (UTC)
    - member, channel: a server's member or channel (`subject_id`) in a day (UTC)
    - member4, member16: a server's member in four and in sixteen of these days, counted from 1970
    - server: a whole server (`subject_id`) in a day (UTC); its guild_id is -1
    - bot: the whole bot's command, provider, model and key in a day (UTC); its guild_id is -1
    """

    __tablename__ = "usage_sums"
    __table_args__ = ({"sqlite_with_rowid": False},)

    guild_id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    time: Mapped[int] = mapped_column(primary_key=True)  # its beginning, in seconds since 1970
    subject_id: Mapped[int] = mapped_column(primary_key=True)
    command: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    key_variable: Mapped[str] = mapped_column(primary_key=True)


class RoleUsage(Base):
    """What the holders of a role have used since it had a budget, by the quarter of an hour of sending."""

    __tablename__ = "usage_roles"

    role_id: Mapped[int] = mapped_column(primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True)
    tokens: Mapped[int]
    pictures: Mapped[int]
    cost_micros: Mapped[int]


class GuildSettings(Base):
    """What a server's admins have set."""

    __tablename__ = "guild_settings"

    guild_id: Mapped[int] = mapped_column(primary_key=True)
    time_zone: Mapped[str]  # its IANA name; whose days the reports and budgets of the server have
    weekly_channel_id: Mapped[int] = mapped_column(
        server_default="0"
    )  # of the weekly report; 0: there is none
    weekly_by: Mapped[str] = mapped_column(server_default="")  # what its lines are
    weekly_posted: Mapped[str] = mapped_column(server_default="")  # the Monday of the last one, as 2026-11-30
    weekly_missed: Mapped[int] = mapped_column(server_default="0")  # how many weeks it could not be posted


class Budget(Base):
    """What a server's admins allow in a day or a month."""

    __tablename__ = "budgets"
    __table_args__ = (UniqueConstraint("guild_id", "scope", "scope_id", "unit", "period"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    guild_id: Mapped[int]
    scope: Mapped[str]  # server, channel, role, or member: for each of them
    scope_id: Mapped[int]  # the channel's or the role's; else 0
    unit: Mapped[str]  # tokens, pictures or dollars
    period: Mapped[str]  # day or month
    amount: Mapped[int]  # of dollars: millionths
    set_by: Mapped[int]
    set_at: Mapped[int]
    warn_channel_id: Mapped[int]  # 0: nobody is told


class BudgetNotice(Base):
    """That it has been told how far a budget is used: the highest of 50, 80 and 100 % in a period."""

    __tablename__ = "budget_notices"

    budget: Mapped[str] = mapped_column(primary_key=True)  # whose budget of what it is
    since: Mapped[int] = mapped_column(primary_key=True)  # the period's beginning
    percent: Mapped[int]


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
