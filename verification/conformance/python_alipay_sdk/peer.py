"""What python-alipay-sdk makes of keys and texts that Paysaga's own code is asked about too."""

from urllib.parse import parse_qsl

from alipay import AliPay, DCAliPay
from oracle import serve


def _client(private_key: str, public_key: str) -> AliPay:
    return AliPay("1", app_private_key_string=private_key, alipay_public_key_string=public_key)


def sign(private_key: str, public_key: str, params: dict[str, str]) -> str:
    """The signature of a request with these parameters, from the SDK's own order string."""
    order_string = _client(private_key, public_key).sign_data(dict(params))
    return dict(parse_qsl(order_string))["sign"]


def sign_text(private_key: str, public_key: str, text: str) -> str:
    """The signature over exactly this text."""
    return str(_client(private_key, public_key)._sign(text))  # noqa: SLF001


def serial_numbers(app_cert: str, root_cert: str) -> list[str]:
    """The two numbers that certificate mode adds to a request."""
    return [str(DCAliPay.get_cert_sn(app_cert)), str(DCAliPay.get_root_cert_sn(root_cert))]


if __name__ == "__main__":
    serve({"sign": sign, "sign_text": sign_text, "serial_numbers": serial_numbers})
