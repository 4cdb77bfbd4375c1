import pytest

from providers.alipay.wire import ERROR_NODE, node_name, open_envelope, read_object

METHOD = "alipay.trade.query"
NODE = node_name(METHOD)


@pytest.mark.parametrize(
    "node",
    [
        '{"code":"10000","subject":"a } b \\" { c"}',
        '{ "code" : "10000" , "list" : [ {"a":"}"} ] }',
        '{"url":"https:\\/\\/x","name":"\\u8336","raw":"茶"}',
        '"bm90IGpzb24="',
    ],
)
@pytest.mark.parametrize(
    "frame",
    [
        '{{"{name}":{node},"sign":"S"}}',
        '{{"sign":"S","{name}":{node}}}',
        ' {{ "alipay_cert_sn" : "abc", "{name}" : {node} , "sign" : "S" }} \n',
    ],
)
def test_the_node_is_cut_out_exactly_as_it_was_written(node: str, frame: str) -> None:
    envelope = open_envelope(frame.format(name=NODE, node=node), METHOD)
    assert (envelope.text, envelope.signature) == (node, "S")
    assert envelope.cert_sn == ("abc" if "abc" in frame else None)


def test_the_error_node_is_an_answer_too() -> None:
    envelope = open_envelope(f'{{"{ERROR_NODE}":{{"code":"40002"}}}}', METHOD)
    assert (envelope.value, envelope.signature) == ({"code": "40002"}, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "<html></html>",
        "{" * 100_000,
        f'{{"{NODE}":' + "[" * 100_000,
        f'{{"{NODE}":{{}},"{NODE}":{{}},"sign":"S"}}',
        f'{{"{NODE}":{{"a":1,"a":2}},"sign":"S"}}',
        f'{{"{NODE}":{{}},"{ERROR_NODE}":{{}},"sign":"S"}}',
        f'{{"{NODE}":{{}},"sign":"S","sign":"T"}}',
        f'{{"{NODE}":{{}}}}}}',
        f'{{"{NODE}":{{}}}}{{}}',
        f'{{"{NODE}":{{}},}}',
        f'{{"{NODE}" {{}}}}',
        f'{{1:{{}},"{NODE}":{{}}}}',
        f'{{"{NODE}":{{}}',
        f'{{"another_response":{{}},"sign":"{NODE}"}}',
    ],
)
def test_what_is_not_exactly_one_answer_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any refusal will do
        open_envelope(text, METHOD)


@pytest.mark.parametrize("sign", ["null", '""', "7", "{}"])
def test_a_signature_that_is_no_text_is_none(sign: str) -> None:
    assert open_envelope(f'{{"{NODE}":{{}},"sign":{sign}}}', METHOD).signature is None


@pytest.mark.parametrize("text", ["[]", '"a"', '{"a":1,"a":1}', "{", "[" * 100_000])
def test_a_decrypted_content_must_be_one_object_without_duplicates(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any refusal will do
        read_object(text)
