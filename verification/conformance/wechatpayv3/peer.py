"""What wechatpayv3 makes of keys and texts that Paysaga's own code is asked about too."""

import time
from typing import Any

from oracle import serve
from wechatpayv3 import utils
from wechatpayv3.core import Core


def authorization(private_key: str, at: int, **request: Any) -> str:
    """The header of a request: path, method, mchid, serial_no, data (text) and nonce_str."""
    now, utils.time.time = time.time, lambda: at
    try:
        key = utils.load_private_key(private_key)
        return str(utils.build_authorization(private_key=key, **request))
    finally:
        utils.time.time = now


def invocation(private_key: str, public_key: str, lines: list[str]) -> str:
    """The signature that a mini program or an app is started with."""
    core = Core(
        "1", "1", private_key, "0" * 32, public_key=public_key, public_key_id="PUB_KEY_ID_1"
    )
    return str(core.sign(lines))


def seal(private_key: str, timestamp: str, nonce: str, body: str) -> str:
    """WeChat Pay's signature of an answer or a notification."""
    key = utils.load_private_key(private_key)
    return str(utils.rsa_sign(key, f"{timestamp}\n{nonce}\n{body}\n"))


def open_resource(key: str, nonce: str, associated_data: str, ciphertext: str) -> str | None:
    """The text inside a notification."""
    opened: str | None = utils.aes_decrypt(nonce, ciphertext, associated_data, key)
    return opened


if __name__ == "__main__":
    serve(
        {
            "authorization": authorization,
            "invocation": invocation,
            "seal": seal,
            "open_resource": open_resource,
        }
    )
