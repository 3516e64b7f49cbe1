"""Personal values never reach the log; all spellings of one give one reference."""

import hashlib
import hmac

import pytest

from tillroll.errors import ConfigurationError, MalformedEvent
from tillroll.identity import DEMO_KEY, IdentityKey, identity_key, normalise, reference

SECRET = "0123456789abcdef0123456789abcdef"
KEY = IdentityKey.parse(f"k1:{SECRET}")


@pytest.mark.parametrize("spelling", ["Ann@Example.com", " ann@example.com\n", "ANN@EXAMPLE.COM"])
def test_all_spellings_of_an_address_are_one_reference(spelling: str) -> None:
    digest = hmac.new(SECRET.encode(), b"ann@example.com", hashlib.sha256).hexdigest()
    assert reference("email", spelling, KEY) == ("email", f"k1:{digest}")


@pytest.mark.parametrize("kind", ["Email", "EMAIL", " email "])
def test_a_personal_kind_is_one_in_whatever_case(kind: str) -> None:
    assert reference(kind, "ann@example.com", KEY) == reference("email", "ann@example.com", KEY)


@pytest.mark.parametrize("spelling", ["+44 20 7946 0958", "0044 (20) 7946-0958", "+44 (0)20 7946.0958"])
def test_all_spellings_of_a_number_are_e164(spelling: str) -> None:
    assert normalise("phone", spelling) == "+442079460958"


@pytest.mark.parametrize("value", ["020 7946 0958", "+0123456789", "+1234567890123456", "call me", "+44"])
def test_a_number_without_country_code_is_refused_unquoted(value: str) -> None:
    with pytest.raises(MalformedEvent, match=r"E\.164") as caught:
        reference("phone", value, KEY)
    assert value not in str(caught.value)


@pytest.mark.parametrize("value", ["ann", "ann@", "a@b@c", "a b@c"])
def test_what_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(MalformedEvent, match="email"):
        reference("email", value, KEY)


@pytest.mark.parametrize("kind", ["account", "loyalty", "device", "receipt", "wristband"])
def test_the_retailers_own_numbers_stay_readable(kind: str) -> None:
    assert reference(kind, "  A-17 ", KEY) == (kind, "A-17")


@pytest.mark.parametrize("kind", ["account", "email"])
def test_an_empty_reference_is_refused(kind: str) -> None:
    with pytest.raises(MalformedEvent, match="empty"):
        reference(kind, "  ", KEY)


def test_a_hashed_value_is_not_hashed_again() -> None:
    once = reference("email", "ann@example.com", KEY)
    assert reference(once.kind, once.value, KEY) == once


def test_another_key_gives_another_reference() -> None:
    assert reference("email", "ann@example.com", KEY) != reference("email", "ann@example.com", DEMO_KEY)


def test_the_key_comes_from_the_environment() -> None:
    assert identity_key({"TILLROLL_IDENTITY_KEY": f"k1:{SECRET}"}) == KEY
    assert identity_key({}) is DEMO_KEY


@pytest.mark.parametrize("text", ["short", "k1:short", f":{SECRET}", f"K 1:{SECRET}", SECRET])
def test_an_unusable_key_is_refused_unquoted(text: str) -> None:
    with pytest.raises(ConfigurationError, match="TILLROLL_IDENTITY_KEY") as caught:
        identity_key({"TILLROLL_IDENTITY_KEY": text})
    assert text not in str(caught.value)


def test_a_key_does_not_print_its_secret() -> None:
    assert SECRET not in repr(KEY)
