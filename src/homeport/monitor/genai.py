"""Every name that a span carries: OpenTelemetry's conventions for generative AI, which still move, and our own beside them."""

from __future__ import annotations

from homeport.vocabulary import Surface

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
STREAM = "gen_ai.request.stream"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"  # seconds
ERROR = "error.type"
SERVICE = "service.name"
SERVICE_VERSION = "service.version"

REQUEST_ID = "homeport.request.id"
DIALECT = "homeport.dialect"
BACKEND = "homeport.backend"
LOCATION = "homeport.location"
OUTCOME = "homeport.outcome"
ATTEMPTS = "homeport.attempts"
QUEUE = "homeport.queue.wait"  # seconds
SPEED = "homeport.tokens_per_second"

SCOPE = "homeport"
TRACES_PATH = "/v1/traces"
OPERATIONS = {  # by the surface that was asked
    Surface.CHAT: "chat",
    Surface.COMPLETIONS: "text_completion",
    Surface.EMBEDDINGS: "embeddings",
    Surface.RESPONSES: "chat",
    Surface.MESSAGES: "chat",
    Surface.COUNT_TOKENS: "count_tokens",  # ours
    Surface.OLLAMA_CHAT: "chat",
    Surface.GENERATE: "text_completion",
    Surface.EMBED: "embeddings",
    Surface.OLD_EMBED: "embeddings",
}
UNKNOWN = "request"  # refused before it was dispatched
