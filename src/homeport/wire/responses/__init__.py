"""OpenAI's Responses, as a caller's dialect only."""
