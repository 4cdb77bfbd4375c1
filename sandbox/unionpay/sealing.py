from collections.abc import Mapping

from sandbox.unionpay import signing
from sandbox.unionpay.keys import KeyRing, Merchant

CERTIFICATE = "signPubKeyCert"
Fields = dict[str, str]
UNREADABLE = "this is no signature"
WITHOUT_CERTIFICATE = "unknown_serial"
ANOTHER_KEY = "88888888"
# Merchants without certificates meet these as a signature with another secure key.
UNTRUSTED = ("foreign_ca", "wrong_cn", "expired_certificate", "foreign_key", WITHOUT_CERTIFICATE)


def seal(
    keys: KeyRing,
    merchant: Merchant,
    fields: Mapping[str, str],
    charset: str,
    flaw: str | None = None,
) -> Fields:
    """The fields in the gateway's own order: alphabetical, then its certificate, then signature.

    `flaw` spoils it: `foreign_ca`, `wrong_cn`, `expired_certificate`, `foreign_key`,
    `bad_signature`, `signtest` (not even base64) or `unknown_serial` (no certificate).
    """
    fields = {**fields, "signMethod": merchant.sign_method}
    message = {key: fields[key] for key in sorted(fields) if fields[key] != ""}
    if merchant.secure_key is None:
        signer = keys.signer(merchant, flaw)
        if flaw != WITHOUT_CERTIFICATE:
            message[CERTIFICATE] = signer.certificate
        signature = signing.sign(signer.key, _signed(message, flaw), charset)
    else:
        secure_key = ANOTHER_KEY if flaw in UNTRUSTED else merchant.secure_key
        content = _signed(message, flaw)
        signature = signing.keyed_digest(merchant.sign_method, secure_key, content, charset)
    message[signing.SIGNATURE] = UNREADABLE if flaw == "signtest" else signature
    return message


def _signed(message: Fields, flaw: str | None) -> Fields:
    return message | {"respMsg": "另一条消息"} if flaw == "bad_signature" else message
