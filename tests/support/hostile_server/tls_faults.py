"""TLS servers with one fault each: certificates, protocols and handshakes."""

from __future__ import annotations

import ssl
import warnings

from tests.support.hostile_server.authority import Authority

MALFORMED_NAMES = b"\x30\x05\x82"


def build_context(authority: Authority, fault: str, host: str) -> ssl.SSLContext | None:
    """Return the TLS context with a fault. None: a server that speaks no TLS."""
    if fault in {"plain", "stall"}:
        return None
    if fault == "bad_names":
        return authority.context_with_names(MALFORMED_NAMES)
    if fault == "many_names":
        names = (f"n{number}.example" for number in range(5_000))
        return authority.context_for(*names)
    context = authority.context(fault, host)
    _CHANGES.get(fault, _keep)(context, authority)
    return context


def _keep(context: ssl.SSLContext, authority: Authority) -> None:
    """Change nothing: the fault is in the certificate."""


def _use_old_protocol(context: ssl.SSLContext, _: Authority) -> None:
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.options |= ssl.OP_NO_TLSv1_3 | ssl.OP_NO_TLSv1_2


def _use_weak_cipher(context: ssl.SSLContext, _: Authority) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0")


def _refuse_name(context: ssl.SSLContext, _: Authority) -> None:
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


def _demand_certificate(context: ssl.SSLContext, authority: Authority) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)


_CHANGES = {
    "old_protocol": _use_old_protocol,
    "weak_cipher": _use_weak_cipher,
    "unknown_name": _refuse_name,
    "client_certificate": _demand_certificate,
}
