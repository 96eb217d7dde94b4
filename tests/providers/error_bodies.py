"""Vendors' refusals as data: what was sent, by whom, and what it means to us.

Bodies are those that vendors document or were seen to send. "documented" stands for a status whose body
nobody has written down, with a likely one in its place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from providers.base import (
    BadRequest,
    ContentRefused,
    KeyRejected,
    ModelRetired,
    NotEntitled,
    PromptTooLong,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)

HTML = b"<html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>"
CLOUDFLARE = (
    b"<!DOCTYPE html><html><title>Attention Required! | Cloudflare</title>Sorry, you have been blocked"
)
APACHE = b"<html><h1>Forbidden</h1><p>You don't have permission to access this resource.</p></html>"
NO_ROUTE = (
    "https://api-inference.huggingface.co is no longer supported. "
    "Please use https://router.huggingface.co instead."
)
NO_MODEL = "The requested model '..' is not supported by any provider you have enabled."
DEPRECATED = "The requested model is deprecated and no longer supported by provider hf-inference"
MONTHLY = (
    "You have depleted your monthly included credits. Purchase pre-paid credits to continue using Inference "
    "Providers. Alternatively, subscribe to PRO to get 20x more included usage."
)
EXCEEDED = "You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO..."
NO_PERMISSION = (
    "This authentication method does not have sufficient permissions to call Inference Providers on behalf "
    "of user somebody"
)
EXTRA = [
    {
        "type": "extra_forbidden",
        "loc": ["body", "store"],
        "msg": "Extra inputs are not permitted",
        "input": False,
    }
]
DAILY = "Rate limit of 50 per 86400s exceeded for UserByModelByDay. Please wait 5631 seconds before retrying."
BROWNOUT = {
    "code": "github_models_retirement_brownout",
    "message": "GitHub Models is temporarily unavailable as part of a scheduled retirement brownout.",
}

AZURE_FILTERED = {
    "error": {
        "message": "The response was filtered due to the prompt triggering...",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"violence": {"filtered": True, "severity": "high"}},
        },
    }
}


class Row(NamedTuple):
    """One refusal and the class it belongs to."""

    source: str
    status: int
    body: Any
    expected: type[ProviderError]
    headers: Mapping[str, str] = {}
    maybe_billed: bool = False  # when it comes at once

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def error(
    message: str, code: object = None, kind: object = "invalid_request_error", param: object = None
) -> dict[str, Any]:
    """The shape of OpenAI and all who follow it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def mistral(
    message: object, code: object = None, kind: str = "invalid_request_error", **more: object
) -> dict[str, Any]:
    """Mistral's shape; older servers of vLLM have it too."""
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code, **more}


def numbered(code: int, message: str, kind: str = "", **more: object) -> dict[str, Any]:
    """The shape of servers of one's own, whose code is the status."""
    return {"error": {"code": code, "message": message, "type": kind, **more}}


def router(code: int, message: str) -> dict[str, Any]:
    """OpenRouter's shape."""
    return {"error": {"code": code, "message": message}}


MISTRAL_RATE = mistral("Rate limit exceeded", "1300", "rate_limited", raw_status_code=429)

HUGGING_FACE = [
    Row(
        "wrong provider for the model",
        400,
        {"error": "Model not supported by provider hf-inference"},
        ModelRetired,
    ),
    Row("no provider enabled", 400, error(NO_MODEL, "model_not_supported", param="model"), ModelRetired),
    Row("no provider enabled, by words", 400, error(NO_MODEL), ModelRetired),
    Row("no such model in chat", 400, error("...", "model_not_found", param="model"), ModelRetired),
    Row("key", 401, {"error": "Invalid credentials in Authorization header"}, KeyRejected),
    Row("credits", 402, {"error": MONTHLY}, QuotaExhausted),
    Row("credits, older text", 402, {"error": EXCEEDED}, QuotaExhausted),
    Row("token without permission", 403, {"error": NO_PERMISSION}, KeyRejected),
    Row("unknown route, documented", 404, {"error": "Not Found"}, ModelRetired),
    Row("retired", 410, {"error": DEPRECATED}, ModelRetired),
    Row("retired, with another status", 400, {"error": DEPRECATED}, ModelRetired),
    Row("retired host", 410, {"error": NO_ROUTE}, ModelRetired),
    Row("retired host, body as text", 410, NO_ROUTE.encode(), ModelRetired),
    Row("retired host, with another status", 400, NO_ROUTE.encode(), ModelRetired),
    Row("fal: inputs and not prompt", 422, {"detail": EXTRA}, BadRequest),
    Row("rate, documented", 429, {"error": "rate limited"}, RateLimited, {"RateLimit": '"api";r=0;t=55'}),
    Row("rate, with something left", 429, {"error": "slow"}, RateLimited, {"RateLimit": '"api";r=12;t=300'}),
    Row("words in the headers", 400, b"", ModelRetired, {"X-Error-Code": "model_not_found"}),
    Row("words in the headers, with a page", 401, HTML, KeyRejected, {"X-Error-Message": "Invalid token"}),
    Row("500 with HTML", 500, HTML, Unavailable),
    Row("502 with HTML", 502, HTML, Unavailable),
    Row("504 without body", 504, b"", Unavailable),
    Row("loading", 503, {"error": "Model X is currently loading", "estimated_time": 42.3}, Unavailable),
    Row(
        "loading in a 200",
        200,
        {"error": "Model X is currently loading", "estimated_time": 42.3},
        Unavailable,
    ),
]

MISTRAL = [
    Row(
        "retired",
        400,
        mistral("Invalid model: pixtral-12b-2409", "1500", "invalid_model", raw_status_code=400),
        ModelRetired,
    ),
    Row("retired, code alone", 400, {"message": "Invalid model: x", "code": "1500"}, ModelRetired),
    Row("context", 400, mistral("Prompt contains 40 tokens, too large for model with 32"), PromptTooLong),
    Row("context, other words", 400, mistral("over the maximum context length of 32768"), PromptTooLong),
    Row("key, documented", 401, {"message": "Unauthorized"}, KeyRejected),
    Row("balance, documented", 402, mistral("Your prepaid balance is zero"), QuotaExhausted),
    Row("tier", 403, mistral("...", "1910", "tier_not_allowed"), NotEntitled),
    Row("wrong path, documented", 404, {"message": "no Route matched with those values"}, ModelRetired),
    Row("unknown field", 422, {"detail": EXTRA}, BadRequest),
    Row("unknown field, wrapped", 422, mistral({"detail": EXTRA}), BadRequest),
    Row("rate", 429, MISTRAL_RATE, RateLimited),
    Row("rate at the gateway", 429, {"message": "Requests rate limit exceeded"}, RateLimited),
    Row("capacity", 429, mistral("Service tier capacity exceeded for this model."), RateLimited),
    Row("no allowance at all", 429, MISTRAL_RATE, NotEntitled, {"x-ratelimit-limit-req-minute": "0"}),
    Row("some allowance", 429, MISTRAL_RATE, RateLimited, {"x-ratelimit-limit-req-minute": "30"}),
    *(Row(f"{status}", status, mistral("Internal"), Unavailable) for status in (500, 502, 503, 504)),
]

CONTEXT = "This model's maximum context length is 8192 tokens..."
TOKENS_A_MINUTE = (
    "Request too large for gpt-6-luna on tokens per min (TPM): Limit 30000, Requested 48210. The input or "
    "output tokens must be reduced in order to run successfully."
)
OPENAI = [
    Row("context", 400, error(CONTEXT, "context_length_exceeded", param="messages"), PromptTooLong),
    Row("context, words", 400, error("This model's maximum context length is 4096"), PromptTooLong),
    Row("context, llama.cpp's words", 400, error("exceeds the available context size"), PromptTooLong),
    Row("context, other words", 400, error("input tokens exceed the configured limit"), PromptTooLong),
    Row("Azure: prompt filtered", 400, AZURE_FILTERED, ContentRefused),
    Row("key", 401, error("Incorrect API key provided", "invalid_api_key"), KeyRejected),
    Row("pictures: moderation", 400, error("blocked", "moderation_blocked"), ContentRefused),
    Row("country", 403, error("Country not supported", "unsupported_country"), NotEntitled),
    Row("no such model", 404, error("The model does not exist", "model_not_found"), ModelRetired),
    Row("too large", 413, error("Request too large"), PromptTooLong),
    Row("more than a minute's tokens", 429, error(TOKENS_A_MINUTE, "rate_limit_exceeded"), PromptTooLong),
    Row("rate", 429, error("Rate limit reached", "rate_limit_exceeded", "requests"), RateLimited),
    Row("quota", 429, error("check your plan", "insufficient_quota", "insufficient_quota"), QuotaExhausted),
    Row("500", 500, error("The server had an error", None, "server_error"), Unavailable),
    Row("503", 503, error("The engine is overloaded", None, "server_error"), Unavailable),
    Row("other 400", 400, error("Unsupported parameter: 'max_tokens'", "unsupported_parameter"), BadRequest),
    Row("a retired parameter", 400, error("the 'user' parameter is no longer supported"), BadRequest),
    Row("a quoted prompt", 400, error("Invalid prompt: 'API key not valid, model gone'"), BadRequest),
    Row("another quoted prompt", 400, error("Bad input 'Model X is deprecated'"), BadRequest),
]

OPENROUTER = [
    Row("400", 400, router(400, "Bad parameters"), BadRequest),
    Row("no such model", 400, router(400, "some/model is not a valid model ID"), ModelRetired),
    Row("401", 401, router(401, "No auth credentials found"), KeyRejected),
    Row("402", 402, router(402, "Insufficient credits"), QuotaExhausted),
    Row("402 with a time", 402, {"error": {"code": 402}}, QuotaExhausted, {"Retry-After": "30"}),
    Row("403: moderation", 403, router(403, "Your input was flagged for x."), ContentRefused),
    Row("403: an account", 403, router(403, "Your account has been flagged."), NotEntitled),
    Row("403: a key's limit", 403, router(403, "Key limit exceeded (total limit)."), QuotaExhausted),
    Row("404", 404, router(404, "No endpoints found for some/model."), ModelRetired),
    Row("404: pictures", 404, router(404, "No endpoints found that support image input"), BadRequest),
    Row("404: privacy", 404, router(404, "No endpoints found matching your data policy."), NotEntitled),
    Row("408", 408, router(408, "Your request timed out"), Unavailable),
    Row("429", 429, router(429, "Rate limited: per-min"), RateLimited),
    Row("429: free models", 429, router(429, "Rate limit exceeded: free-models-per-day"), QuotaExhausted),
    Row("502", 502, router(502, "Provider returned error"), Unavailable),
    Row("503", 503, router(503, "No available provider"), Unavailable),
    Row("502 in a 200", 200, router(502, "Provider died"), Unavailable, {}, True),
    Row("429 in a 200", 200, router(429, "Rate limited"), RateLimited),
    Row("402 in a 200", 200, router(402, "Insufficient"), QuotaExhausted),
]

GITHUB = [
    Row("retired", 410, {"error": BROWNOUT}, ModelRetired),
    Row("too large", 413, error("Request body too large for gpt-4o-mini"), PromptTooLong),
    Row("too large, by code", 413, error("Max size: 8000 tokens", "tokens_limit_reached"), PromptTooLong),
    Row("too large, as 400", 400, error("Max size: 8000 tokens", "tokens_limit_reached"), PromptTooLong),
    Row(
        "daily limit",
        429,
        {"error": {"code": "RateLimitReached", "message": DAILY, "details": DAILY}},
        QuotaExhausted,
        {"x-ratelimit-type": "UserByModelByDay", "retry-after": "5631"},
    ),
    Row(
        "daily limit, by words",
        429,
        {"error": {"code": "RateLimitReached", "message": DAILY, "details": DAILY}},
        QuotaExhausted,
    ),
    Row("minute limit", 429, error("Rate limit of 15 per 60s", "RateLimitReached"), RateLimited),
]

NO_CONTEXT = numbered(
    400,
    "the request exceeds the available context size",
    "exceed_context_size_error",
    n_prompt_tokens=5000,
    n_ctx=4096,
)
COMFYUI = {"type": "prompt_no_outputs", "message": "x", "details": "", "extra_info": {}}
LOCAL = [
    Row("Ollama: no such model", 404, error("model 'x' not found", None, "not_found_error"), ModelRetired),
    Row("Ollama: native shape", 404, {"error": "model 'x' not found"}, ModelRetired),
    Row("Ollama: in a 200", 200, {"error": "llama runner process has terminated"}, Unavailable),
    Row("llama.cpp: key", 401, numbered(401, "Invalid API Key", "authentication_error"), KeyRejected),
    Row("llama.cpp: loading", 503, numbered(503, "Loading model", "unavailable_error"), Unavailable),
    Row("llama.cpp: context", 400, NO_CONTEXT, PromptTooLong),
    Row("llama.cpp: context, as 500", 500, NO_CONTEXT, PromptTooLong),
    Row("llama.cpp: in a 200", 200, NO_CONTEXT, PromptTooLong),
    Row("vLLM: bad request", 400, error("top_p must be in (0, 1]", 400, "BadRequestError"), BadRequest),
    Row("vLLM: key", 401, {"error": "Unauthorized"}, KeyRejected),
    Row("vLLM: no such model", 404, error("does not exist.", 404, "NotFoundError"), ModelRetired),
    Row("vLLM: older, flat", 400, mistral("top_p must be", 400, "BadRequestError"), BadRequest),
    Row("vLLM: context", 400, mistral("maximum context length is 9", 400, "BadRequestError"), PromptTooLong),
    Row("LocalAI: no such model", 400, numbered(400, "Bad Request"), BadRequest),
    Row("LocalAI: opaque", 500, b"", Unavailable),
    Row("LocalAI: opaque, key", 401, b"", KeyRejected),
    Row("LocalAI: cool-down", 503, numbered(503, "model load cool-down"), Unavailable),
    Row("LM Studio: bad request", 400, error("'messages' field is required"), BadRequest),
    Row("ComfyUI: workflow", 400, {"error": COMFYUI, "node_errors": {}}, BadRequest),
    Row("NVIDIA: problem+json", 422, {"status": 422, "title": "Wrong", "detail": "x"}, BadRequest),
]

# What stands in front of a vendor, and knows nothing of its keys, accounts and models.
PROXIES = [
    *(Row(f"{status} with a page", status, HTML, Unavailable) for status in (401, 402, 403, 404, 503)),
    Row("Cloudflare", 403, CLOUDFLARE, Unavailable),
    Row("Cloudflare, as text", 403, b"error code: 1020", Unavailable),
    Row("Apache", 403, APACHE, Unavailable),
    Row("a server in Go", 404, b"404 page not found\n", Unavailable),
    Row("a code that is not of the request", 500, error("no", "invalid_api_key"), Unavailable),
    Row("a key's words", 500, error("upstream said: API key not valid"), Unavailable),
    Row("no channel just now", 503, error("no channel", "model_not_found"), Unavailable),
]

# Gemini answers in Google's shape, wrapped in a list on its Chat Completions address.
GEMINI_KEY = {"code": 400, "message": "API key not valid. Please pass a valid API key."}
GEMINI_REASON = {"code": 400, "message": "...", "details": [{"reason": "API_KEY_INVALID"}]}
GEMINI_LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
GEMINI = [
    Row("key", 400, [{"error": GEMINI_KEY}], KeyRejected),
    Row("key, unwrapped", 400, {"error": GEMINI_KEY}, KeyRejected),
    Row("key, by its reason", 400, [{"error": GEMINI_REASON}], KeyRejected),
    Row("bad request", 400, [{"error": {"code": 400, "message": "Invalid JSON payload"}}], BadRequest),
    Row("context", 400, [{"error": {"code": 400, "message": GEMINI_LONG}}], PromptTooLong),
    Row("a code in a list", 429, [error("check your plan", "insufficient_quota")], QuotaExhausted),
]

# What every class rests on where a body says nothing.
BARE = [
    *(Row(f"{status}", status, b"", Unavailable) for status in (408, 409, 425, 500, 502, 503, 504, 529)),
    Row("401", 401, b"", KeyRejected),
    Row("402", 402, b"", QuotaExhausted),
    Row("403", 403, b"", NotEntitled),
    Row("404", 404, b"", ModelRetired),
    Row("410", 410, b"", ModelRetired),
    Row("413", 413, b"", PromptTooLong),
    Row("429", 429, b"", RateLimited),
    Row("429, two minutes", 429, b"", RateLimited, {"Retry-After": "120"}),
    Row("429, more than two minutes", 429, b"", QuotaExhausted, {"Retry-After": "121"}),
    Row("429, absurd wait", 429, b"", QuotaExhausted, {"Retry-After": "99999999"}),
    Row("429, unreadable wait", 429, b"", QuotaExhausted, {"Retry-After": "soon"}),
    Row("400", 400, b"", BadRequest),
    Row("422", 422, b"", BadRequest),
    Row("a redirect", 302, b"", Unavailable),
    Row("an error in a 200 that is only words", 200, {"error": "something"}, Unavailable),
]

ROWS = {
    "Hugging Face": HUGGING_FACE,
    "Mistral": MISTRAL,
    "OpenAI": OPENAI,
    "OpenRouter": OPENROUTER,
    "GitHub Models": GITHUB,
    "local servers": LOCAL,
    "a proxy": PROXIES,
    "Gemini": GEMINI,
    "status alone": BARE,
}

TABLE = [
    pytest.param(row, id=f"{vendor}: {row.source} -> {row.expected.kind}")
    for vendor, rows in ROWS.items()
    for row in rows
]
