"""A merchant's client written from the protocol alone: it shares no code with either side."""

import base64
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

BEIJING = timezone(timedelta(hours=8))
UNIONPAY = "中国银联股份有限公司"
BACK_URL = "http://shop.test/notify/unionpay"
FRONT_URL = "http://shop.test/done"
Fields = dict[str, str]


def canonical(fields: Mapping[str, str]) -> str:
    """Everything but the signature, in ASCII order, raw."""
    names = sorted(name for name, value in fields.items() if name != "signature" and value)
    return "&".join(f"{name}={fields[name]}" for name in names)


def sm3(content: bytes) -> str:
    """The SM3 digest, lower-case hex."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(content)
    return digest.finalize().hex()


def keyed(method: str, secure_key: str, fields: Mapping[str, str]) -> str:
    """The signature of methods 11 and 12."""
    digest = sm3 if method == "12" else lambda content: hashlib.sha256(content).hexdigest()
    return digest(f"{canonical(fields)}&{digest(secure_key.encode())}".encode())


def parse_raw(text: str) -> Fields:
    """A synchronous answer: never percent-encoded, so braces protect what is inside them."""
    fields: Fields = {}
    key, value, closing, in_key = "", "", "", True
    for sign in text:
        if in_key:
            key, in_key = (key, False) if sign == "=" else (key + sign, True)
        elif sign == "&" and not closing:
            fields[key], key, value, in_key = value, "", "", True
        else:
            if sign == closing:
                closing = ""
            elif not closing and sign in "{[":
                closing = "}" if sign == "{" else "]"
            value += sign
    if not in_key:
        fields[key] = value
    return fields


def new_order_id() -> str:
    """An order number that no other test uses."""
    return uuid.uuid4().hex


def beijing(ahead: timedelta = timedelta()) -> str:
    """Now, as `txnTime` says it."""
    return (datetime.now(BEIJING) + ahead).strftime("%Y%m%d%H%M%S")


def another_second(txn_time: str) -> str:
    """Another time of the same day, not far away."""
    return f"{txn_time[:-2]}{(int(txn_time[-2:]) + 30) % 60:02}"


@dataclass
class UnionpayShop:
    """One merchant of the manifest, with everything needed to call and to verify."""

    client: httpx.AsyncClient
    base_url: str
    merchant: dict[str, Any]
    now: datetime | None = None

    def fields(self, txn_type: str, sub_type: str, /, **changes: str | None) -> Fields:
        """An unsigned request; `changes` replace, add or (None) drop."""
        usual: dict[str, str | None] = {
            "version": "5.1.0",
            "encoding": "UTF-8",
            "signMethod": self.merchant["sign_method"],
            "txnType": txn_type,
            "txnSubType": sub_type,
            "bizType": "000000",
            "accessType": "0",
            "merId": self.merchant["mer_id"],
            "orderId": new_order_id(),
            "txnTime": beijing(),
            "certId": self.merchant.get("cert_id"),
        }
        return {key: value for key, value in {**usual, **changes}.items() if value is not None}

    def consume(self, sub_type: str = "01", /, **changes: str | None) -> Fields:
        """A payment of 2,000 fen that the payer makes in the app."""
        usual: dict[str, str | None] = {
            "bizType": "000201" if sub_type == "01" else "000000",
            "channelType": "08",
            "txnAmt": "2000",
            "currencyCode": "156",
            "backUrl": BACK_URL,
            "payTimeout": beijing(timedelta(minutes=15)),
        }
        return self.fields("01", sub_type, **{**usual, **changes})

    def give_back(self, txn_type: str, query_id: str, /, **changes: str | None) -> Fields:
        """A refund (04) or an undo (31) of the whole 2,000 fen."""
        usual: dict[str, str | None] = {
            "bizType": "000201",
            "channelType": "08",
            "txnAmt": "2000",
            "backUrl": BACK_URL,
            "origQryId": query_id,
        }
        return self.fields(txn_type, "00", **{**usual, **changes})

    def sign(self, fields: Fields) -> Fields:
        """Add the signature of the merchant's method."""
        if secure_key := self.merchant.get("secure_key"):
            return fields | {"signature": keyed(self.merchant["sign_method"], secure_key, fields)}
        content = hashlib.sha256(canonical(fields).encode(_charset(fields))).hexdigest().encode()
        raw = self.private_key().sign(content, padding.PKCS1v15(), hashes.SHA256())
        return fields | {"signature": base64.b64encode(raw).decode()}

    def private_key(self) -> rsa.RSAPrivateKey:
        """The key in the PFX; its certificate's serial must be the manifest's."""
        key, certificate = _opened(self.file("pfx_file"), self.merchant["pfx_password"])
        assert certificate is not None
        assert str(certificate.serial_number) == self.merchant["cert_id"]
        return key

    async def post(self, endpoint: str, fields: Fields) -> httpx.Response:
        """Post the fields as they are."""
        body = "&".join(f"{name}={_quoted(fields, name)}" for name in fields)
        charset = fields.get("encoding", "UTF-8")
        headers = {"content-type": f"application/x-www-form-urlencoded;charset={charset}"}
        return await self.client.post(f"{self.base_url}/{endpoint}", content=body, headers=headers)

    def file(self, name: str) -> bytes:
        """What is in one of the merchant's files."""
        return Path(self.merchant[name]).read_bytes()

    async def call(self, endpoint: str, fields: Fields) -> Fields:
        """Sign, send, and return the answer, whose signature must hold."""
        return self.read(await self.post(endpoint, self.sign(fields)))

    def read(self, response: httpx.Response) -> Fields:
        """The verified fields of a synchronous answer."""
        assert response.status_code == 200, response.text
        charset = "gb18030" if "GBK" in response.headers["content-type"] else "utf-8"
        fields = parse_raw(response.content.decode(charset))
        assert self.is_genuine(fields), fields
        return fields

    async def app(self, **changes: str | None) -> tuple[Fields, Fields]:
        """Place an app order; the request and the answer."""
        fields = self.consume(**changes)
        return fields, await self.call("appTransReq.do", fields)

    async def back(self, fields: Fields) -> Fields:
        """A call of the back office."""
        return await self.call("backTransReq.do", fields)

    async def query(self, original: Mapping[str, str], **changes: str | None) -> Fields:
        """What became of a transaction, by its triple."""
        triple = {"orderId": original["orderId"], "txnTime": original["txnTime"]}
        return await self.call("queryTrans.do", self.fields("00", "00", **{**triple, **changes}))

    def read_form(self, body: bytes) -> Fields:
        """The decoded fields of a notification, unverified."""
        first = dict(parse_qsl(body.decode("ascii")))
        return dict(
            parse_qsl(body.decode("ascii"), encoding=_charset(first), keep_blank_values=True)
        )

    def is_genuine(self, fields: Mapping[str, str]) -> bool:
        """Whether UnionPay said exactly this."""
        if secure_key := self.merchant.get("secure_key"):
            return keyed(fields["signMethod"], secure_key, fields) == fields.get("signature")
        try:
            leaf = x509.load_pem_x509_certificate(fields["signPubKeyCert"].encode())
            key = leaf.public_key()
            assert isinstance(key, rsa.RSAPublicKey)
            signature = base64.b64decode(fields["signature"], validate=True)
            text = canonical(fields).encode(_charset(fields))
            content = hashlib.sha256(text).hexdigest().encode()
            key.verify(signature, content, padding.PKCS1v15(), hashes.SHA256())
        except (KeyError, ValueError, InvalidSignature):
            return False
        return self.trusts(leaf)

    def trusts(self, leaf: x509.Certificate) -> bool:
        """The whole chain by hand, as CFCA's SHA-1 needs it, and the name of UnionPay."""
        middle, root = (
            x509.load_pem_x509_certificate(self.file(file))
            for file in ("middle_certificate_file", "root_certificate_file")
        )
        now = self.now or datetime.now(UTC)
        lives = all(
            item.not_valid_before_utc <= now <= item.not_valid_after_utc
            for item in (leaf, middle, root)
        )
        authorities = all(
            item.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            for item in (middle, root)
        )
        links = _issued(leaf, middle) and _issued(middle, root) and _issued(root, root)
        name = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
        return lives and authorities and links and str(name).split("@")[2] == UNIONPAY


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    key, algorithm = issuer.public_key(), certificate.signature_hash_algorithm
    assert isinstance(key, rsa.RSAPublicKey)
    assert algorithm is not None
    try:
        key.verify(
            certificate.signature,
            certificate.tbs_certificate_bytes,
            padding.PKCS1v15(),
            algorithm,
        )
    except InvalidSignature:
        return False
    return certificate.issuer == issuer.subject


def _charset(fields: Mapping[str, str]) -> str:
    return "gb18030" if fields.get("encoding", "").upper() == "GBK" else "utf-8"


@cache
def _opened(pfx: bytes, password: str) -> tuple[rsa.RSAPrivateKey, x509.Certificate | None]:
    """Once per file: a password is stretched on purpose, and the same files serve every test."""
    key, certificate, _ = pkcs12.load_key_and_certificates(pfx, password.encode())
    assert isinstance(key, rsa.RSAPrivateKey)
    return key, certificate


def _quoted(fields: Mapping[str, str], name: str) -> str:
    return (
        str(httpx.QueryParams({"": fields[name]}))[1:]
        if _charset(fields) == "utf-8"
        else ("".join(f"%{byte:02X}" for byte in fields[name].encode("gb18030")))
    )
