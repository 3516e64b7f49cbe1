"""References to customers: what may stand in the log in place of a person.

A reference is a kind and a value. Kinds are an open vocabulary; two of them are personal, because their
values name a person to anybody who reads them: ``email`` and ``phone``. These are normalised and replaced
by a keyed hash, so that the same address always gives the same reference and nobody without the key can
tell, or try out, which address it was. The others (``account``, ``loyalty``, ``device``, ``receipt``) are
numbers that the retailer draws itself; they mean nothing outside and are only trimmed. A device is thus
the retailer's own cookie or handset number, never an advertising id.

The value of a personal reference is ``<key id>:<64 hex digits>``: HMAC-SHA256 over the normalised value in
UTF-8. The key id stands in front so that keys can be changed and old references still be recognised.
"""

import hmac
import os
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tillroll.errors import ConfigurationError, MalformedEvent

__all__ = ["DEMO_KEY", "PERSONAL_KINDS", "IdentityKey", "Reference", "identity_key", "normalise", "reference"]

KEY_VARIABLE = "TILLROLL_IDENTITY_KEY"
SHORTEST_SECRET = 32
"""Characters; 32 hex digits are the 128 bits below which an HMAC key can be searched for."""

HASHED = re.compile(r"[a-z0-9][a-z0-9-]*:[0-9a-f]{64}")
KEY_ID = re.compile(r"[a-z0-9][a-z0-9-]*")


class Reference(NamedTuple):
    """One way to recognise a customer, as it stands in events."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class IdentityKey:
    """A named secret. Its text never appears in messages or in repr."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "IdentityKey":
        """From ``<key id>:<secret>``. Raises ConfigurationError, without quoting the text."""
        name, _, secret = text.partition(":")
        if not KEY_ID.fullmatch(name) or len(secret) < SHORTEST_SECRET:
            raise ConfigurationError(
                f"{KEY_VARIABLE} is not usable: write it as <key id>:<secret>, the id in lower case letters, "
                f"digits and dashes, the secret at least {SHORTEST_SECRET} characters long"
            )
        return cls(name, secret.encode())

    def hash(self, normalised: str) -> str:
        """``<key id>:<hex digest>`` of a normalised value."""
        return f"{self.id}:{hmac.new(self.secret, normalised.encode(), 'sha256').hexdigest()}"


DEMO_KEY = IdentityKey("demo", b"tillroll demonstration key, protects nobody")
"""Used by the demo and the imports, whose people are invented or already anonymous; public on purpose."""


def identity_key(environment: Mapping[str, str] | None = None) -> IdentityKey:
    """The key of TILLROLL_IDENTITY_KEY, or the demo's where that is not set. Raises ConfigurationError."""
    text = (os.environ if environment is None else environment).get(KEY_VARIABLE, "")
    return IdentityKey.parse(text) if text else DEMO_KEY


def reference(kind: str, value: str, key: IdentityKey) -> Reference:
    """The reference that stands in an event for `value` as the customer gave it.

    `kind` counts in whatever case: it is written in lower case. A personal value that is hashed already stays as it is,
    so that exported events can be published again.
    Raises MalformedEvent when the value is none of its kind; the message never quotes it.
    """
    kind = kind.strip().lower()
    if kind not in PERSONAL_KINDS:
        return Reference(kind, _trimmed(kind, value))
    if HASHED.fullmatch(value):
        return Reference(kind, value)
    return Reference(kind, key.hash(normalise(kind, value)))


def normalise(kind: str, value: str) -> str:
    """`value` in the one spelling that all its spellings share. Raises MalformedEvent."""
    trimmed = _trimmed(kind, value)
    return PERSONAL_KINDS[kind](trimmed) if kind in PERSONAL_KINDS else trimmed


def _trimmed(kind: str, value: str) -> str:
    trimmed = unicodedata.normalize("NFC", value).strip()
    if not trimmed:
        raise MalformedEvent(
            f"a customer reference of kind {kind!r} is empty: leave it out or give its value"
        )
    return trimmed


def _email(value: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
        raise MalformedEvent(
            "a customer reference of kind 'email' is no address: it needs one @ and no spaces"
        )
    return value.lower()


def _phone(value: str) -> str:
    """E.164: plus, country code, number; 15 digits at most (ITU-T E.164, 6.2.1)."""
    digits = re.sub(r"\(0\)|[\s().\-/]", "", value)
    number = "+" + digits[2:] if digits.startswith("00") else digits
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", number):
        raise MalformedEvent(
            "a customer reference of kind 'phone' is no number in E.164: write it with + and country code"
        )
    return number


PERSONAL_KINDS: Mapping[str, Callable[[str], str]] = {"email": _email, "phone": _phone}
"""Kinds whose values are personal data, and how their spellings are made one."""
