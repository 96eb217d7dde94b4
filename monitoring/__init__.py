"""Watching a running bot: whether it is alive and ready, and its figures, over HTTP."""
