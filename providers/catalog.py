"""The catalogue: vendors as data. `catalog.toml` holds ours; the host's settings override and add."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from providers.limits import PictureLimits
from providers.prices import FREE, Price
from providers.transport import Auth

ChatWire = Literal["chat-completions", "local"]
ImageWire = Literal["hf-inference", "openai-images", "fal", "sdapi", "sketch"]
Wire = Literal[ChatWire, ImageWire]

CATALOG = Path(__file__).with_name("catalog.toml")
# Fields that are facts of a model: what we say of a vendor's does not hold for another that a host sets.
# Sizes, and what may be chosen at all, are rather what the vendor's address takes.
ABOUT_A_MODEL = (
    "sees",
    "context_tokens",
    "steps",
    "min_steps",
    "max_steps",
    "guidance_scale",
    "max_guidance",
    "prompt_tokens",
)
LOCAL_CONTEXT_TOKENS = 4096
# Wires of machines of one's own that do one thing after the other. What waits here can still be taken back.
ONE_AT_A_TIME = ("local", "sdapi")


class OfferedModel(PictureLimits):
    """A model that a provider offers besides its default one, or did until it was retired.

    For a picture model, what it does otherwise than the provider's default one.
    """

    retired: date | None = None
    successor: str = ""  # the model to use in its place
    # What it can; None: as the provider's entry says.
    sees: bool | None = None
    context_tokens: int | None = Field(None, ge=256)


class Entry(PictureLimits):
    """One provider: a vendor endpoint as it is to be called. Times in seconds.

    One that makes pictures also says what its model can do.
    """

    name: str
    wire: Wire
    title: str = ""  # how people are told of it
    base_url: str = Field("", validate_default=True)
    model: str
    keys: tuple[str, ...] = ()  # settings that hold its keys; none: it is called without
    accounts: dict[str, str] = Field({})  # for keys (NAME2) that share an account: that account's label
    models: dict[str, OfferedModel] = Field({})  # models that may be asked for by name, or that are retired
    prices: dict[str, Price] = Field({})  # by model
    free: bool | None = None  # whether what has no price costs nothing; None: if it needs no key
    retired: date | None = None  # the vendor shut this down; kept for those with a compatible server
    advice: str = ""  # what to use in its place

    # Deadlines: to the first text, between events, and in all. A picture has only the last: 120 by default.
    first_text_seconds: float = Field(60, gt=0)
    idle_seconds: float = Field(30, gt=0)
    total_seconds: float = Field(600, gt=0, le=840)

    # What the vendor allows each account; None: not known. Both are kept to rather than run into.
    max_concurrency: int | None = Field(None, ge=1)  # requests at a time, over all its models
    requests_per_minute: int | None = Field(None, ge=1)
    queue: bool = False  # whether requests wait for it while it is busy with others, and do not go elsewhere

    # What is sent.
    auth: Auth = "bearer"
    extra_body: dict[str, Any] = Field({})
    drop: tuple[str, ...] = ()  # fields that this vendor refuses

    # Chat. What the default model can; what is not known is not claimed.
    sees: bool = False  # whether it takes pictures along with the text
    context_tokens: int | None = Field(None, ge=256, validate_default=True)  # prompt and answer together
    stream: bool = True
    stream_options: bool = True
    max_tokens: int = Field(1024, ge=1)
    max_tokens_field: str = "max_tokens"
    seed_field: str = "seed"
    temperature: float | None = None
    top_p: float | None = None

    # Pictures.
    steps_field: str = "num_inference_steps"
    size_fields: Literal["size", "width_height"] = "size"
    negative_separator: str = ""  # behind it in the prompt this server reads the negative one
    arguments_tag: str = ""  # between two of these in the prompt this server reads seed and steps
    picture_hosts: tuple[str, ...] = ()  # where its pictures may be fetched, besides its own host

    # Models in the bot's own process.
    model_path: str = ""

    @property
    def makes_pictures(self) -> bool:
        """Whether this provider makes pictures; else it chats."""
        return self.wire in get_args(ImageWire)

    @property
    def label(self) -> str:
        """The provider and its model, for people."""
        return f"{self.title or self.name} ({self.model})"

    @property
    def price(self) -> Price | None:
        """The price of its model; None: it is not known."""
        free = not self.keys if self.free is None else self.free
        return self.prices.get(self.model) or (FREE if free else None)

    def current_model(self, today: date) -> str:
        """The model to ask: the one that is set or, once that is retired, the successor that is named."""
        model = self.model
        while (known := self.models.get(model)) and known.successor:
            if known.retired is None or known.retired > today:
                break
            model = known.successor
        return model

    def with_model(self, name: str) -> Self:
        """The same provider with another of its models, and with what is known of that one."""
        known = self.models.get(name, OfferedModel())
        facts = known.model_dump(exclude_unset=True, exclude={"retired", "successor"})
        return self.model_copy(update={"model": name, **facts})

    @field_validator("sees")
    @classmethod
    def _can_see(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("wire") == "local":
            raise ValueError("a model in the bot's own process cannot look at pictures")
        return value

    @field_validator("context_tokens")
    @classmethod
    def _is_known_in_process(cls, value: int | None, info: ValidationInfo) -> int | None:
        return LOCAL_CONTEXT_TOKENS if value is None and info.data.get("wire") == "local" else value

    @model_validator(mode="before")
    @classmethod
    def _depends_on_the_wire(cls, fields: dict[str, Any]) -> dict[str, Any]:
        wire = fields.get("wire")
        if wire in get_args(ImageWire):
            fields = {"total_seconds": 120, **fields}
        if wire in ONE_AT_A_TIME:
            fields = {"max_concurrency": 1, "queue": True, **fields}
        return fields

    @field_validator("accounts")
    @classmethod
    def _labels_are_of_keys(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        keys = info.data.get("keys", ())
        for name in value:
            if name.rstrip("0123456789") not in keys and name not in keys:
                known = " or ".join(keys) or "nothing, as it needs none"
                raise ValueError(f"{name} is no key of this provider; they begin with {known}")
        return value

    @field_validator("max_concurrency")
    @classmethod
    def _has_one_process(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value != 1 and info.data.get("wire") == "local":
            raise ValueError("a model in the bot's own process answers one question at a time")
        return value

    @field_validator("models")
    @classmethod
    def _successors_end(cls, value: dict[str, OfferedModel]) -> dict[str, OfferedModel]:
        for start in value:
            seen, model = {start}, value[start].successor
            while model in value:
                if model in seen:
                    raise ValueError(f"the successors of {start!r} go round in a circle")
                seen.add(model)
                model = value[model].successor
        return value

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str, info: ValidationInfo) -> str:
        in_process = info.data.get("wire", "local") in ("local", "sketch")  # or a wire there is not
        if in_process:
            return value
        if not re.match(r"https?://[\w\[]", value):
            raise ValueError("must be an address that begins with https:// or http://")
        try:
            address = urlsplit(value)
            _ = address.port, (address.hostname or "").encode("idna")
        except ValueError:
            raise ValueError("is no address that can be called: look at its host and port") from None
        if "@" in address.netloc:  # it would stand in the log, and beside a key it cannot be sent
            raise ValueError('must not hold a password: name a setting in keys that does, and auth = "basic"')
        return value

    @field_validator("extra_body")
    @classmethod
    def _can_be_sent(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError(
                "holds what JSON does not know, such as a date: put it in quotation marks"
            ) from None
        return value


class CatalogError(Exception):
    """The host's provider settings do not fit; `problems` has a sentence for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def load_catalog(overrides: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Entry]:
    """Read our catalogue, lay the host's `[providers.NAME]` tables over it, and check every entry.

    Raises CatalogError with all mistakes at once.
    """
    tables: dict[str, dict[str, Any]] = tomllib.loads(CATALOG.read_text(encoding="utf-8"))
    for name, table in (overrides or {}).items():
        ours = tables.get(name, {})
        prices = ours.get("prices", {})
        # A server of one's own, which needs no key, can what it can with any model.
        if table.get("model", ours.get("model")) != ours.get("model") and ours.get("keys"):
            ours = {field: value for field, value in ours.items() if field not in ABOUT_A_MODEL}
        tables[name] = ours | dict(table)
        if isinstance(own := table.get("prices"), Mapping):  # one model's price leaves the others' alone
            tables[name]["prices"] = prices | dict(own)
    entries: dict[str, Entry] = {}
    problems: list[str] = []
    for name, table in tables.items():
        if "name" in table:  # the table's own name is its name
            problems.append(_sentence(name, ("name",), "Extra inputs are not permitted"))
        try:
            entries[name] = Entry(**{**table, "name": name})
        except ValidationError as error:
            problems += [_sentence(name, problem["loc"], problem["msg"]) for problem in error.errors()]
    if problems:
        raise CatalogError(problems)
    return entries


def _sentence(name: str, place: tuple[int | str, ...], message: str) -> str:
    field = ".".join(str(part) for part in place)
    where = f"[providers.{name}]" + (f" {field}" if field else "")
    if message == "Extra inputs are not permitted":
        message = "there is no such setting"
    return f"{where}: {message.removeprefix('Value error, ')}."
