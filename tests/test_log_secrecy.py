"""The whole bot at DEBUG: no token, no key, and nothing that members or models wrote is in its log."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fake_discord import FakeDiscord, FakeInteraction
from tests.fake_vendors import FakeVendor, Reply, Request, json_reply, openai_stream
from tests.fakes import small_png
from tests.hosted_bot import Host
from tests.living_bot import answered
from tests.mentioning import BOT_MENTION, write

KEYS = {"OPENAI_API_KEY": "canary-key-of-openai", "HF_TOKEN": "hf_CanaryKeyOfHuggingFace"}
# Each stands in a prompt, an answer, or something else that passes through.
CONTENT = ("Archaeopteryx", "Brontosaurus", "Confuciusornis", "Dimetrodon", "Edmontosaurus", "Fabrosaurus")
ASKED, ANSWERED, MENTIONED, DRAWN, AVOIDED, SYSTEM = CONTENT
REFUSED = f"Tell me whether the {ASKED} could fly at all."

TOML = """
[chat]
answer_mentions = true
system_prompt = "You are an expert on {system}."
[providers.openai]
base_url = "{url}/v1"
[providers.hf-nscale]
base_url = "{url}/v1"
"""


async def answer(request: Request) -> Reply:
    """A long answer, a picture, or a refusal that quotes the question."""
    if request.path.endswith("/images/generations"):
        return json_reply({"data": [{"b64_json": base64.b64encode(small_png(64, 64)).decode()}]})
    question = request.body["messages"][-1]["content"]
    if REFUSED in question:
        return json_reply({"error": {"message": f"bad content: '{question}' for {request.key}"}}, 400)
    return openai_stream(*[f"The {ANSWERED} was a large animal. "] * 100)


@pytest.fixture
async def host(tmp_path: Path, vendor: FakeVendor) -> AsyncIterator[Host]:
    vendor.answer = answer
    async with FakeDiscord() as fake:
        host = Host(tmp_path, fake, vendor.url)
        keys = "".join(f"{name}={key}\n" for name, key in KEYS.items())
        env = f"DISCORD_TOKEN={fake.token}\nDATABASE_URL={host.database_url}\n{keys}"
        chains = "CHAT_CHAIN=openai\nIMAGE_CHAIN=hf-nscale\n"
        host.write(env + chains, TOML.format(url=vendor.url, system=SYSTEM))
        yield host


async def press(fake: FakeDiscord, interaction: FakeInteraction, label: str) -> FakeInteraction:
    """Press a button below the answer: the last message of it."""
    message = [interaction.original, *interaction.followups][-1]
    assert message is not None
    buttons = [button for row in message.latest.components for button in row["components"]]
    [custom_id] = [button["custom_id"] for button in buttons if button["label"] == label]
    return await fake.component(message, custom_id)


def ended(interaction: FakeInteraction) -> bool:
    """Whether the answer is there as a whole, with its line of figures."""
    messages = [interaction.original, *interaction.followups]
    return any(message and "completion tokens" in message.content for message in messages)


async def use_all_of_it(fake: FakeDiscord) -> dict[str, FakeInteraction]:
    """Questions, follow-ups, pictures, buttons, a mention and a refusal; give all interactions."""
    asked = await fake.slash("ask", {"prompt": f"What was the {ASKED}?"})
    await asked.until(ended, timeout=20)
    assert asked.followups
    again = await press(fake, asked, "Regenerate")
    await again.until(ended, timeout=20)
    last = await fake.slash("last")
    await last.until(lambda it: it.original and ANSWERED in it.original.content)
    drawn = await fake.slash("imagine", {"prompt": f"a {DRAWN}", "negative": f"any {AVOIDED}"})
    await drawn.until(lambda it: it.original and it.original.attachments, timeout=20)
    redrawn = await press(fake, drawn, "Re-roll")
    await redrawn.until(lambda it: it.original and it.original.attachments, timeout=20)
    info = await press(fake, drawn, "Info")
    await info.until(lambda it: it.original and it.original.latest.embeds)
    refused = await fake.slash("ask", {"prompt": REFUSED})
    await refused.until(lambda it: answered(it, "."), timeout=20)
    await write(fake, f"{BOT_MENTION} and the {MENTIONED}?")
    await fake.until(
        lambda: any("completion tokens" in it.content for it in fake.messages if it.interaction is None), 20
    )
    return {"ask": asked, "again": again, "drawn": drawn, "redrawn": redrawn, "refused": refused}


@pytest.mark.parametrize("form", ["text", "json"])
async def test_what_passes_through_the_bot_is_not_in_its_log(
    host: Host, vendor: FakeVendor, form: str
) -> None:
    """From start to stop at DEBUG: each line names its request, and none has a secret or content in it."""
    async with host.start(LOG_LEVEL="DEBUG", LOG_FORMAT=form) as process:
        await host.until_logged("connected to Discord")
        interactions = await use_all_of_it(host.fake)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0

    sent = json.dumps([request.body for request in vendor.requests])
    assert {word for word in CONTENT if word not in sent} == {AVOIDED}  # that model cannot be told
    log = host.log
    tokens = [interaction.token for interaction in host.fake.interactions]
    secrets = [host.fake.token, *KEYS.values(), *tokens, *CONTENT]
    assert {secret for secret in secrets if secret in log} == set()
    lines = log.splitlines()
    assert sum("DEBUG" in line for line in lines) > 20
    for interaction in interactions.values():
        assert len([line for line in lines if str(interaction.id) in line]) >= 2
    if form == "json":
        entries = [json.loads(line) for line in lines]
        by_request = {entry["request_id"]: entry["message"] for entry in entries if "request_id" in entry}
        assert str(interactions["refused"].id) in by_request
        messages = [entry["message"] for entry in entries]
    else:
        assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ +[\w.]+", line) for line in lines)
        messages = [line.partition(": ")[2] for line in lines]
    assert sum(message.startswith("ask: answered by OpenAI (gpt-6-luna) after ") for message in messages) == 3
    assert sum(message.startswith("ask: failed after ") for message in messages) == 1
    assert sum(message.startswith("imagine: answered after ") for message in messages) == 2
    assert any("bad content: '[...]' for [key]" in message for message in messages)
    assert any(
        re.fullmatch(r"PATCH /api/v10/webhooks/\d+/\[token\]/\S+: 200", message) for message in messages
    )
