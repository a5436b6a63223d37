"""ID tokens are accepted only if Google signed them for this project and user, and they have not expired."""

from datetime import UTC, datetime, timedelta

import pytest

from id_token_signer import Signer, firebase_claims, serve_certificates, unsigned_token
from revisit.adapters.gcp.id_tokens import CertificateCache, create_authenticator, max_age
from revisit.adapters.gcp.settings import Settings, read_settings
from revisit.errors import InvalidInputError, TransientError, UnauthenticatedError
from revisit.ports.authenticator import Claims

PROJECT = "revisit-lakes"
GOOGLE, IMPOSTOR = Signer(), Signer()
"""The impostor signs under the same key id."""


@pytest.fixture(scope="module")
def served():
    with serve_certificates(GOOGLE) as server:
        yield server


@pytest.fixture
def verify(served):
    return create_authenticator(
        Settings(PROJECT, operators=("Boss@Example.org",)), CertificateCache(served.url)
    ).verify


def test_a_good_token_says_who_sent_it(verify):
    assert verify(GOOGLE.sign(firebase_claims(PROJECT))) == Claims(
        "user-1", "user-1@example.org", email_verified=True, operator=False
    )


def test_a_clock_five_seconds_ahead_of_ours_is_let_in(verify):
    assert verify(GOOGLE.sign(firebase_claims(PROJECT, issued_s=5))).uid == "user-1"


REFUSED = {
    "nobody signed it": lambda: unsigned_token(firebase_claims(PROJECT)),
    "it is for another project": lambda: GOOGLE.sign(firebase_claims("other-project")),
    "it is for this project in its issuer alone": lambda: GOOGLE.sign(
        firebase_claims(PROJECT, aud="other-project")
    ),
    "it is over": lambda: GOOGLE.sign(firebase_claims(PROJECT, issued_s=-3700)),
    "another issued it": lambda: GOOGLE.sign(firebase_claims(PROJECT, iss="https://accounts.google.com")),
    "it is of nobody": lambda: GOOGLE.sign(firebase_claims(PROJECT, sub="")),
    "it is of no text": lambda: GOOGLE.sign(firebase_claims(PROJECT, sub=7)),
    "it comes from the future": lambda: GOOGLE.sign(firebase_claims(PROJECT, issued_s=60)),
    "another key signed it": lambda: IMPOSTOR.sign(firebase_claims(PROJECT)),
    "a key that we do not know signed it": lambda: IMPOSTOR.sign(firebase_claims(PROJECT), kid="key-2"),
    "it was changed after it was signed": lambda: _with_claims_of(
        GOOGLE.sign(firebase_claims(PROJECT)), GOOGLE.sign(firebase_claims(PROJECT, "user-2"))
    ),
    "a public key was taken for a shared secret": lambda: GOOGLE.sign(firebase_claims(PROJECT), alg="HS256"),
    "its moments are texts": lambda: GOOGLE.sign(firebase_claims(PROJECT, iat="now", exp="never")),
    "it is garbage": lambda: "abc.def.ghi",
    "it has two parts": lambda: "abc.def",
    "it is empty": lambda: "",
    "it is a list": lambda: "W10.W10.",
    "it is no ASCII": lambda: "ä.ö.ü",
    "it is endless": lambda: "a" * 100_000,
}


def _with_claims_of(token: str, other: str) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{other.split('.')[1]}.{signature}"


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED)
def test_a_token_is_refused_where(verify, token):
    with pytest.raises(UnauthenticatedError, match="sign in again"):
        verify(token())


def test_it_is_the_audience_that_keeps_the_tokens_of_other_projects_out(verify, monkeypatch):
    """Were it left out, the case of the foreign project above would be let in, and this suite would fail."""
    from google.oauth2 import id_token

    given, real = [], id_token.verify_firebase_token

    def careless(token, request, audience=None, **more):
        given.append(audience)
        return real(token, request, audience=None, **more)

    monkeypatch.setattr(id_token, "verify_firebase_token", careless)
    with pytest.warns(UserWarning, match="audience"):
        assert verify(GOOGLE.sign(firebase_claims("other-project", "other"))).uid == "other"
    assert given == [PROJECT]


@pytest.mark.parametrize("project", ["", None])
def test_without_a_project_nothing_starts(project):
    with pytest.raises(InvalidInputError, match="REVISIT_PROJECT"):
        create_authenticator(Settings(project or ""))


@pytest.mark.parametrize(
    ("said", "operator"),
    [
        ({}, False),
        ({"operator": True}, True),
        ({"operator": "true"}, False),
        ({"email": "boss@example.org"}, True),
        ({"email": "BOSS@example.org"}, True),
        ({"email": "boss@example.org", "email_verified": False}, False),
        ({"email": "boss@example.org", "email_verified": "yes"}, False),
        ({"email": "boss@example.org.evil.example"}, False),
        ({"email": None}, False),
    ],
)
def test_operators_are_those_with_the_claim_and_those_named_whose_address_is_verified(verify, said, operator):
    assert verify(GOOGLE.sign(firebase_claims(PROJECT, **said))).operator is operator


def test_certificates_are_kept_for_as_long_as_they_say():
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    with serve_certificates(GOOGLE, max_age=600) as server:
        verify = create_authenticator(Settings(PROJECT), CertificateCache(server.url, lambda: now[-1])).verify
        for _ in range(3):
            verify(GOOGLE.sign(firebase_claims(PROJECT)))
        assert server.request_count == 1
        now.append(now[0] + timedelta(seconds=599))
        verify(GOOGLE.sign(firebase_claims(PROJECT)))
        assert server.request_count == 1
        now.append(now[0] + timedelta(seconds=600))
        verify(GOOGLE.sign(firebase_claims(PROJECT)))
        assert server.request_count == 2


def test_unavailable_certificates_are_a_transient_error_and_requested_again():
    with serve_certificates(GOOGLE) as server:
        verify = create_authenticator(Settings(PROJECT), CertificateCache(server.url)).verify
        server.answers["status"] = 503
        with pytest.raises(TransientError, match="certificates"):
            verify(GOOGLE.sign(firebase_claims(PROJECT)))
        server.answers["status"] = 200
        assert verify(GOOGLE.sign(firebase_claims(PROJECT))).uid == "user-1"
    gone = create_authenticator(Settings(PROJECT), CertificateCache(server.url)).verify
    with pytest.raises(TransientError, match="certificates"):
        gone(GOOGLE.sign(firebase_claims(PROJECT)))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("public, max-age=19302, must-revalidate, no-transform", 19302),
        ('max-age="60"', 60),
        ("no-store, max-age=60", 0),
        ("max-age=-1", 0),
        ("max-age=999999999", 86_400),
        ("s-maxage=60", 0),
        ("", 0),
    ],
)
def test_how_long_an_answer_may_be_kept(header, seconds):
    assert (
        max_age({"Cache-Control": header}) == max_age({"cache-control": header}) == timedelta(seconds=seconds)
    )
    assert max_age({}) == timedelta(0)


EMULATOR = {"FIREBASE_AUTH_EMULATOR_HOST": "127.0.0.1:9099"}


def test_tokens_of_the_emulator_are_taken_in_a_demonstration():
    verify = create_authenticator(
        read_settings(
            {"REVISIT_PROJECT": "demo-lakes", "REVISIT_OPERATORS": "user-1@example.org", **EMULATOR}
        )
    ).verify
    assert verify(unsigned_token(firebase_claims("demo-lakes"))) == Claims(
        "user-1", "user-1@example.org", email_verified=True, operator=True
    )
    for refused in (
        firebase_claims("demo-other"),
        firebase_claims("demo-lakes", sub=""),
        firebase_claims("demo-lakes", issued_s=-3700),
        firebase_claims("demo-lakes", iss="x"),
        firebase_claims("demo-lakes", exp="never"),
        {},
    ):
        with pytest.raises(UnauthenticatedError):
            verify(unsigned_token(refused))
    with pytest.raises(UnauthenticatedError):
        verify("abc.def.ghi")


def test_an_emulator_beside_a_real_project_is_refused_at_start():
    with pytest.raises(InvalidInputError, match="FIREBASE_AUTH_EMULATOR_HOST.*revisit-lakes"):
        create_authenticator(read_settings({"REVISIT_PROJECT": PROJECT, **EMULATOR}))


def test_a_demonstration_without_the_emulator_asks_for_signed_tokens(served):
    verify = create_authenticator(Settings("demo-lakes"), CertificateCache(served.url)).verify
    with pytest.raises(UnauthenticatedError):
        verify(unsigned_token(firebase_claims("demo-lakes")))
    assert verify(GOOGLE.sign(firebase_claims("demo-lakes"))).uid == "user-1"
