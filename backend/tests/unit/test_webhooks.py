"""Webhooks, the pure part: signatures, patience, and which addresses may be reached."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.domain.webhook import (
    LONGEST_WAIT_SECONDS,
    MOST_ATTEMPTS,
    is_signed,
    may_reach,
    parse_networks,
    signature,
    wait_before_retry,
)
from headway.errors import SettingsError
from headway.services.post_webhook import DeliveryError, reachable_target
from headway.settings import load_settings

REFUSED = [
    "169.254.169.254", "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:169.254.169.254", "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:0:0:0:0:5601:5601",
]  # fmt: skip


@pytest.mark.parametrize("address", REFUSED)
def test_address_that_is_not_of_the_open_internet_is_refused(address: str) -> None:
    assert not may_reach(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_address_of_the_open_internet_may_be_reached(address: str) -> None:
    assert may_reach(address)


def test_allowed_network_may_be_reached_and_no_other() -> None:
    allowed = parse_networks("10.0.0.0/8, ::1/128")
    assert may_reach("10.1.2.3", allowed)
    assert may_reach("::ffff:10.1.2.3", allowed)
    assert may_reach("::1", allowed)
    assert not may_reach("127.0.0.1", allowed)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://[::ffff:169.254.169.254]/",
        "https://localhost/hook",
    ],
)
def test_url_in_any_spelling_of_a_refused_address_is_refused(url: str) -> None:
    with pytest.raises(DeliveryError, match="not on the open internet") as refused:
        reachable_target(url, ())
    assert refused.value.final


def test_name_that_leads_to_a_refused_address_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in ("1.1.1.1", "169.254.169.254")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(DeliveryError, match=r"metadata\.example leads to 169\.254\.169\.254"):
        reachable_target("http://metadata.example/", ())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://example.com/", "http"),
        ("file:///etc/passwd", "http"),
        ("http://", "host"),
        ("http://user:pass@example.com/", "user name"),
        ("http://example.com/a b", "space"),
        ("http://exämple.com/", "ASCII"),
        ("http://example.com:99999/", "not a URL"),
        ("http://[::1/", "not a URL"),
        ("http://no-such-name.invalid/", "cannot be resolved"),
    ],
)
def test_what_is_no_url_to_call_is_refused_with_the_reason(url: str, said: str) -> None:
    with pytest.raises(DeliveryError, match=said):
        reachable_target(url, ())


@given(st.text(min_size=1), st.binary(), st.integers(0, 2**40))
def test_signature_holds_for_its_body_secret_and_time_alone(secret: str, body: bytes, at: int) -> None:
    header = signature(secret, at, body)
    assert is_signed(secret, header, body, at + 10)
    assert not is_signed(secret + "x", header, body, at)
    assert not is_signed(secret, header, body + b"x", at)
    assert not is_signed(secret, header, body, at + 301)
    assert not is_signed(secret, header.replace(f"t={at}", f"t={at + 1}"), body, at)


@pytest.mark.parametrize("header", ["", "t=,v1=", "v1=00", "t=abc,v1=00", "nonsense", "t=1"])
def test_broken_signature_is_none(header: str) -> None:
    assert not is_signed("secret", header, b"{}", 1)


def test_waits_double_up_to_an_hour_and_end() -> None:
    waits = [wait_before_retry(attempts, 5.0) for attempts in range(1, MOST_ATTEMPTS + 1)]
    assert waits[:3] == [5.0, 10.0, 20.0]
    assert waits[-2:] == [LONGEST_WAIT_SECONDS, None]


def test_wrong_network_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_WEBHOOK_NETWORKS", "10.0.0.0/8,ten")
    with pytest.raises(SettingsError, match="HEADWAY_WEBHOOK_NETWORKS"):
        load_settings()
