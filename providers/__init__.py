"""The vendors' side: wire formats, keys and fallback. Knows nothing of Discord or of the database."""
