"""Names of files and classes as text that is neither XML nor Markdown nor a command, whatever is in them: they may
come from a stranger's pull request."""

from __future__ import annotations

import re

from toolkit.errors import one_line

LONGEST, LONGEST_SENTENCE = 120, 500  # characters of a name, and of a sentence
# XML 1.0, production 2; not even as a reference may any other character be in a document
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLAIN = re.compile(r"[^\W_]+|(?<=\w)_(?=\w)|[ ,;:?%()+=.'’\"→–/-]")  # what means nothing to Markdown within a line
_LINK = re.compile(r"://|\bwww\.", re.IGNORECASE)  # what GitHub makes a link of
_MARKUP = re.compile(r"[^\w\s]|_")


def for_xml(text: str) -> str:
    """One line of characters that XML may contain; the others are written as escapes."""
    return _NOT_IN_XML.sub(lambda found: found[0].encode("unicode_escape").decode(), one_line(text))


def as_code(text: str, longest: int = LONGEST) -> str:
    """A name in the Markdown of a table or a line, as code: nothing in it is markup, a link or a mention. A longer one
    loses its middle."""
    half = longest // 2
    text = for_xml(text if len(text) <= longest else f"{text[:half]}…{text[-half:]}")
    if text and text.strip() == text and not re.search(r"[`|\\]", text):
        return f"`{text}`"
    return f"<code>{_MARKUP.sub(lambda found: f'&#{ord(found[0])};', text)}</code>"


def as_prose(text: str) -> str:
    """A sentence in Markdown. As code if there is anything in it that may be markup, a link or a mention."""
    harmless = not _PLAIN.sub("", text) and not _LINK.search(text) and text[:1].isalnum()
    return text if harmless and len(text) <= LONGEST_SENTENCE else as_code(text, LONGEST_SENTENCE)
