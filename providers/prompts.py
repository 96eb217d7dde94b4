"""Taking the controls out of a prompt: what is for the model shall not be read as an order by its server.

tags       <lora:name:1>, <hypernet:...>, <sd_cpp_extra_args>..., </s>, <|endoftext|>
           Stable Diffusion servers load files and take arguments by them; text encoders end at the last two.
words      AND, BREAK, ADDCOL, ... and __wildcards__
           The web UI and its extensions make several prompts of one by them, or read files.
separator  what a server splits a prompt at, to read the rest as the negative one
"""

from __future__ import annotations

import re

TAG = re.compile(r"<(?=[/|]|[^\W\d])")
WORDS = re.compile(r"\b(?:AND|BREAK|ADD(?:BASE|COL|ROW|COMM))\b")
WILDCARD = re.compile("__+")


def without_controls(text: str, *, words: bool = False, separator: str = "") -> str:
    """The same text to a reader, with nothing in it that a server would obey.

    Tags are taken from every prompt; `words` and what stands at `separator` where the server knows them.
    """
    text = TAG.sub("\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", text)
    if words:
        text = WORDS.sub(lambda found: found[0].lower(), text)
        text = WILDCARD.sub("_", text)
    return text.replace(separator, ",") if separator else text
