"""Interactions and messages of a fake Discord: their routes, with the rules Discord enforces on them."""

import time
from collections.abc import Sequence

from aiohttp import web

from tests.fake_discord_faults import (
    already_acknowledged,
    empty_message,
    invalid_form_body,
    invalid_webhook_token,
    json_response,
    not_found,
    request_too_large,
    unknown_interaction,
    unknown_message,
    unknown_webhook,
)
from tests.fake_discord_records import (
    API,
    EPHEMERAL,
    JSON,
    LOADING,
    SENT,
    DiscordState,
    FakeAttachment,
    FakeInteraction,
    FakeMessage,
    MessageVersion,
    SentFile,
)

CONTENT_LIMIT = 2000

SUPPRESS_EMBEDS = 1 << 2
SUPPRESS_NOTIFICATIONS = 1 << 12
COMPONENTS_V2 = 1 << 15
FLAGS_A_BOT_MAY_SET = SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS | COMPONENTS_V2

# Callback types
MESSAGE, DEFERRED_MESSAGE, DEFERRED_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
CALLBACKS_BY_INTERACTION_TYPE = {
    2: {MESSAGE, DEFERRED_MESSAGE, MODAL},
    3: {MESSAGE, DEFERRED_MESSAGE, DEFERRED_UPDATE, UPDATE, MODAL},
    4: {CHOICES},
    5: {MESSAGE, DEFERRED_MESSAGE, DEFERRED_UPDATE, UPDATE},
}


class InteractionApi:
    def __init__(self, state: DiscordState) -> None:
        self._state = state

    def add_to(self, app: web.Application) -> None:
        message = API + "/webhooks/{application_id}/{token}/messages/{message_id}"
        app.add_routes(
            [
                web.post(API + "/interactions/{interaction_id}/{token}/callback", self._post_callback),
                web.post(API + "/webhooks/{application_id}/{token}", self._post_followup),
                web.get(message, self._get_message),
                web.patch(message, self._patch_message),
                web.delete(message, self._delete_message),
                web.post(API + "/channels/{channel_id}/messages", self._post_channel_message),
                web.get("/attachments/{attachment_id}/{filename}", self._get_attachment),
            ]
        )

    async def _post_callback(self, request: web.Request) -> web.Response:
        sent = request[SENT]
        interaction = self._interaction(request.match_info["token"])
        if interaction is None or str(interaction.id) != request.match_info["interaction_id"]:
            raise unknown_interaction()
        if interaction.acknowledged_at is not None:
            raise already_acknowledged()
        if time.monotonic() > interaction.dispatched_at + self._state.acknowledge_within:
            raise unknown_interaction()
        kind = sent.json["type"]
        if kind not in CALLBACKS_BY_INTERACTION_TYPE[interaction.type]:
            raise invalid_form_body("type", "BASE_TYPE_CHOICES", "This response type is not allowed here.")
        self._respond(interaction, kind, sent.json.get("data") or {}, sent.files)
        interaction.response_type = kind
        interaction.acknowledged_at = time.monotonic()
        if sent.query.get("with_response") not in ("1", "true"):
            return web.Response(status=204)
        return json_response(callback_response(interaction, kind))

    def _respond(self, interaction: FakeInteraction, kind: int, data: JSON, files: list[SentFile]) -> None:
        if kind == CHOICES:
            interaction.choices = data["choices"]
        elif kind == MODAL:
            interaction.modal = data
        elif kind == MESSAGE:
            version = self._next_version(None, data, files, inside="data.")
            interaction.original = self._add_reply(interaction, version)
        elif kind == DEFERRED_MESSAGE:
            version = MessageVersion(flags=LOADING | data.get("flags", 0) & EPHEMERAL)
            interaction.original = self._add_reply(interaction, version)
        else:
            message_id = int(interaction.payload["message"]["id"])
            interaction.original = next(m for m in self._state.messages if m.id == message_id)
            if kind == UPDATE:
                self._edit(interaction.original, data, files, inside="data.")

    async def _post_followup(self, request: web.Request) -> web.Response:
        """Always answers with the message: for interactions, Discord takes `wait` for granted."""
        sent = request[SENT]
        interaction = self._responded_interaction(request)
        loading = interaction.original
        if loading is not None and loading.loading and not loading.deleted:
            # What Discord does for old bots: the first follow-up becomes the deferred answer.
            self._edit(loading, sent.json, sent.files)
            return json_response(loading.payload())
        message = self._add_reply(interaction, self._next_version(None, sent.json, sent.files))
        interaction.followups.append(message)
        return json_response(message.payload())

    async def _get_message(self, request: web.Request) -> web.Response:
        return json_response(self._webhook_message(request).payload())

    async def _patch_message(self, request: web.Request) -> web.Response:
        sent = request[SENT]
        message = self._webhook_message(request)
        self._edit(message, sent.json, sent.files)
        return json_response(message.payload())

    async def _delete_message(self, request: web.Request) -> web.Response:
        self._webhook_message(request).deleted = True
        return web.Response(status=204)

    def _webhook_message(self, request: web.Request) -> FakeMessage:
        interaction = self._responded_interaction(request)
        wanted = request.match_info["message_id"]
        known = [interaction.original, *interaction.followups]
        for message in known[:1] if wanted == "@original" else known:
            if message and not message.deleted and wanted in ("@original", str(message.id)):
                return message
        raise unknown_message()

    def _responded_interaction(self, request: web.Request) -> FakeInteraction:
        interaction = self._interaction(request.match_info["token"])
        if interaction is None or request.match_info["application_id"] != str(self._state.application_id):
            raise invalid_webhook_token()
        if time.monotonic() > interaction.dispatched_at + self._state.token_life:
            raise invalid_webhook_token()
        if interaction.acknowledged_at is None:
            raise unknown_webhook()
        return interaction

    def _interaction(self, token: str) -> FakeInteraction | None:
        return self._state.interaction_by_token.get(token)

    # Messages

    async def _post_channel_message(self, request: web.Request) -> web.Response:
        sent = request[SENT]
        version = self._next_version(None, sent.json, sent.files)
        message = self._state.add_message(int(request.match_info["channel_id"]), None, version)
        return json_response(message.payload())

    async def _get_attachment(self, request: web.Request) -> web.Response:
        for message in self._state.messages:
            for attachment in message.attachments:
                if str(attachment.id) == request.match_info["attachment_id"]:
                    return web.Response(body=attachment.data)
        raise not_found()

    def _add_reply(self, interaction: FakeInteraction, version: MessageVersion) -> FakeMessage:
        guild_id = interaction.payload.get("guild_id")
        return self._state.add_message(
            int(interaction.payload["channel_id"]),
            int(guild_id) if guild_id is not None else None,
            version,
            interaction,
        )

    def _edit(self, message: FakeMessage, data: JSON, files: list[SentFile], *, inside: str = "") -> None:
        message.versions.append(self._next_version(message.latest, data, files, inside=inside))

    def _next_version(
        self, before: MessageVersion | None, data: JSON, files: list[SentFile], *, inside: str = ""
    ) -> MessageVersion:
        """Apply a create or an edit: a field that was not sent stays as it was."""
        old = before or MessageVersion()
        content = data.get("content", old.content) or ""
        # Discord does not say in which unit it counts; UTF-16 is the strictest that people report.
        if len(content.encode("utf-16-le")) // 2 > CONTENT_LIMIT:
            raise invalid_form_body(
                inside + "content", "BASE_TYPE_MAX_LENGTH", f"Must be {CONTENT_LIMIT} or fewer in length."
            )
        embeds: list[JSON] = data.get("embeds", old.embeds) or []
        components: list[JSON] = data.get("components", old.components) or []
        attachments = self._attachments(old.attachments, data, files)
        if not (content.strip() or embeds or components or attachments or data.get("poll")):
            raise empty_message()
        flags = data.get("flags", old.flags)
        # Who sees a message is settled when it is created; that it has version 2 components stays, too.
        kept = EPHEMERAL & flags if before is None else (EPHEMERAL | COMPONENTS_V2) & before.flags
        return MessageVersion(
            content,
            flags & FLAGS_A_BOT_MAY_SET | kept,
            embeds,
            components,
            attachments,
            data.get("allowed_mentions"),
        )

    def _attachments(
        self, old: Sequence[FakeAttachment], data: JSON, files: list[SentFile]
    ) -> list[FakeAttachment]:
        """Keep what an edit lists (all when it lists nothing), then add the new files."""
        if any(len(file.data) > self._state.attachment_size_limit for file in files):
            raise request_too_large()
        listed = data.get("attachments")
        kept = {str(one["id"]) for one in listed} if listed is not None else {str(one.id) for one in old}
        attachments = [one for one in old if str(one.id) in kept]
        for file in files:
            attachment_id = self._state.snowflakes.next()
            url = f"{self._state.url}/attachments/{attachment_id}/{file.filename}"
            attachments.append(FakeAttachment(attachment_id, file.filename, file.data, url))
        return attachments


def callback_response(interaction: FakeInteraction, kind: int) -> JSON:
    body: JSON = {
        "interaction": {"id": str(interaction.id), "type": interaction.type},
        "resource": {"type": kind},
    }
    message = interaction.original
    if message is not None:
        body["interaction"]["response_message_id"] = str(message.id)
        body["interaction"]["response_message_loading"] = message.loading
        body["interaction"]["response_message_ephemeral"] = message.ephemeral
        if kind in (MESSAGE, UPDATE):
            body["resource"]["message"] = message.payload()
    return body
