"""Discord's side: one file per command group, and how answers look there."""
