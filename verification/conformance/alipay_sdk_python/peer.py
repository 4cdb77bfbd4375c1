"""What the official SDK makes of keys and texts that Paysaga's own code is asked about too."""

from alipay.aop.api.util import EncryptUtils
from alipay.aop.api.util.SignatureUtils import get_sign_content, sign_with_rsa2
from oracle import serve
from sdk import bridge_cipher


def sign(private_key: str, public_key: str, params: dict[str, str]) -> str:  # noqa: ARG001
    """The signature of a request with these parameters."""
    return str(sign_with_rsa2(private_key.strip(), get_sign_content(params), "utf-8"))


def sign_text(private_key: str, public_key: str, text: str) -> str:  # noqa: ARG001
    """The signature over exactly this text."""
    return str(sign_with_rsa2(private_key.strip(), text, "utf-8"))


def encrypt(key: str, text: str) -> str:
    """A request's sealed content."""
    return str(EncryptUtils.encrypt_content(text, "AES", key, "utf-8"))


def decrypt(key: str, sealed: str) -> str:
    """An answer's content, opened."""
    return str(EncryptUtils.decrypt_content(sealed, "AES", key, "utf-8"))


if __name__ == "__main__":
    bridge_cipher()
    serve({"sign": sign, "sign_text": sign_text, "encrypt": encrypt, "decrypt": decrypt})
