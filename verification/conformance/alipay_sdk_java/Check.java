import com.alipay.api.AlipayApiException;
import com.alipay.api.AlipayClient;
import com.alipay.api.AlipayConfig;
import com.alipay.api.AlipayRequest;
import com.alipay.api.AlipayResponse;
import com.alipay.api.DefaultAlipayClient;
import com.alipay.api.internal.util.AlipaySignature;
import com.alipay.api.request.AlipayTradeAppPayRequest;
import com.alipay.api.request.AlipayTradeCloseRequest;
import com.alipay.api.request.AlipayTradeFastpayRefundQueryRequest;
import com.alipay.api.request.AlipayTradePayRequest;
import com.alipay.api.request.AlipayTradePrecreateRequest;
import com.alipay.api.request.AlipayTradeQueryRequest;
import com.alipay.api.request.AlipayTradeRefundRequest;
import com.alipay.api.response.AlipayTradeRefundResponse;
import com.google.gson.JsonObject;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Alipay's own SDK for Java (V2: gateway.do) against the sandbox, in every mode.
 *
 * <p>Usage: Check MANIFEST.
 */
final class Check {
  private static final String SUBJECT = "三体 & 黑暗{森林}";

  private final Oracle.Sandbox sandbox;
  private final Oracle.Receiver receiver;
  private final JsonObject app;
  private final String mode;
  private final boolean encrypted;
  private final AlipayClient client;

  private Check(
      Oracle.Sandbox sandbox,
      Oracle.Receiver receiver,
      String name,
      String mode,
      boolean encrypted)
      throws Exception {
    this.sandbox = sandbox;
    this.receiver = receiver;
    this.mode = mode;
    this.encrypted = encrypted;
    app = app(sandbox, name);
    client = new DefaultAlipayClient(config(app.get("app_private_key_file").getAsString()));
  }

  private static JsonObject app(Oracle.Sandbox sandbox, String name) {
    return sandbox.manifest.getAsJsonObject("alipay").getAsJsonObject("apps").getAsJsonObject(name);
  }

  private AlipayConfig config(String privateKeyFile) throws Exception {
    AlipayConfig config = new AlipayConfig();
    config.setServerUrl(
        Oracle.text(sandbox.manifest.getAsJsonObject("alipay"), "gateway_url"));
    config.setAppId(Oracle.text(app, "app_id"));
    config.setPrivateKey(bare(privateKeyFile));
    config.setFormat("json");
    config.setCharset("utf-8");
    config.setSignType(Oracle.text(app, "sign_type"));
    if (encrypted) {
      config.setEncryptType("AES");
      config.setEncryptKey(Oracle.text(app, "aes_key"));
    }
    if (Oracle.text(app, "mode").equals("certificate")) {
      config.setAppCertPath(Oracle.text(app, "app_cert_file"));
      config.setAlipayPublicCertPath(Oracle.text(app, "alipay_cert_file"));
      config.setRootCertPath(Oracle.text(app, "alipay_root_cert_file"));
    } else {
      config.setAlipayPublicKey(bare(Oracle.text(app, "alipay_public_key_file")));
    }
    return config;
  }

  private static String bare(String file) throws Exception {
    return Oracle.read(file).replaceAll("-----[^-]+-----", "").replaceAll("\\s", "");
  }

  private <T extends AlipayResponse> T call(AlipayRequest<T> request, Object... content)
      throws Exception {
    prepare(request, content);
    return Oracle.text(app, "mode").equals("certificate")
        ? client.certificateExecute(request)
        : client.execute(request);
  }

  private void prepare(AlipayRequest<?> request, Object... content) throws Exception {
    JsonObject body = new JsonObject();
    for (int at = 0; at < content.length; at += 2) {
      if (content[at + 1] instanceof com.google.gson.JsonElement element) {
        body.add((String) content[at], element);
      } else {
        body.addProperty((String) content[at], String.valueOf(content[at + 1]));
      }
    }
    request.getClass().getMethod("setBizContent", String.class).invoke(request, body.toString());
    request.setNotifyUrl(receiver.url);
    request.setNeedEncrypt(encrypted);
  }

  private boolean isGenuine(Map<String, String> form) throws Exception {
    // The SDK takes the fields that it leaves out of the signature away from the map.
    Map<String, String> copy = new HashMap<>(form);
    String type = form.get("sign_type");
    if (Oracle.text(app, "mode").equals("certificate")) {
      String file = Oracle.text(app, "alipay_cert_file");
      return AlipaySignature.rsaCertCheckV1(copy, file, "utf-8", type);
    }
    String key = bare(Oracle.text(app, "alipay_public_key_file"));
    return AlipaySignature.rsaCheckV1(copy, key, "utf-8", type);
  }

  private String line(String text) {
    return mode + ": " + text;
  }

  private String status(String reference) throws Exception {
    return call(new AlipayTradeQueryRequest(), "out_trade_no", reference).getTradeStatus();
  }

  private Object[] order(String reference) {
    return new Object[] {
      "out_trade_no", reference, "subject", SUBJECT, "total_amount", "88.88"
    };
  }

  private String paying() {
    String reference = Oracle.newReference();
    Oracle.check(line("precreate answers with a code, signed by Alipay"), () -> {
      String code = call(new AlipayTradePrecreateRequest(), order(reference)).getQrCode();
      Oracle.holds(code.contains(reference), code);
    });
    Oracle.check(line("a trade that nobody opened does not exist"), () ->
        Oracle.same(
            call(new AlipayTradeQueryRequest(), "out_trade_no", reference).getSubCode(),
            "ACQ.TRADE_NOT_EXIST"));
    Oracle.check(line("the notification verifies, an altered one does not"), () -> {
      sandbox.act("pay", "provider", "alipay", "reference", reference);
      Map<String, String> form =
          receiver.next(each -> reference.equals(each.form().get("out_trade_no"))).form();
      Oracle.same(form.get("trade_status"), "TRADE_SUCCESS");
      Oracle.holds(isGenuine(form), "the notification verifies");
      form.put("total_amount", "0.01");
      Oracle.holds(!isGenuine(form), "an altered one was believed");
    });
    Oracle.check(line("query tells the status"), () ->
        Oracle.same(status(reference), "TRADE_SUCCESS"));
    Oracle.check(line("an order string opens a trade on the phone"), () -> {
      String number = Oracle.newReference();
      AlipayTradeAppPayRequest request = new AlipayTradeAppPayRequest();
      prepare(request, order(number));
      String text = client.sdkExecute(request).getBody();
      JsonObject paid = sandbox.act("pay", "provider", "alipay", "checkout", text);
      Oracle.same(Oracle.text(paid, "reference"), number);
      Oracle.same(paid.get("amount").getAsInt(), 8888);
    });
    Oracle.check(line("a payment code pays at once"), () -> {
      AlipayTradePayRequest request = new AlipayTradePayRequest();
      Object[] content = {
        "out_trade_no", Oracle.newReference(), "subject", SUBJECT, "total_amount", "88.88",
        "scene", "bar_code", "auth_code", paymentCode()
      };
      Oracle.same(call(request, content).getTotalAmount(), "88.88");
    });
    return reference;
  }

  /** A code on a payer's screen: each pays one order only. */
  private static String paymentCode() {
    return String.format(
        "28%012d8888", java.util.concurrent.ThreadLocalRandom.current().nextLong(1000000000000L));
  }

  private AlipayTradeRefundResponse back(String reference, String number, String amount)
      throws Exception {
    return call(
        new AlipayTradeRefundRequest(),
        "out_trade_no", reference, "out_request_no", number, "refund_amount", amount);
  }

  private void refunding(String reference) {
    Oracle.check(line("two parts go back, a repeat moves nothing"), () -> {
      Oracle.same(back(reference, "r1", "8.88").getFundChange(), "Y");
      Oracle.same(back(reference, "r1", "8.88").getFundChange(), "N");
      Oracle.same(back(reference, "r2", "30.00").getFundChange(), "Y");
      Oracle.same(sandbox.refunded(reference), List.of(888, 3000));
    });
    Oracle.check(line("the refund query knows what was done"), () ->
        Oracle.same(
            call(
                    new AlipayTradeFastpayRefundQueryRequest(),
                    "out_trade_no", reference, "out_request_no", "r2")
                .getRefundAmount(),
            "30.00"));
    Oracle.check(line("more than was paid is refused"), () -> {
      Oracle.same(back(reference, "r3", "50.01").getCode(), "40004");
      Oracle.same(sandbox.refunded(reference), List.of(888, 3000));
    });
  }

  private void ending() {
    Oracle.check(line("an open trade closes and stays closed"), () -> {
      String reference = Oracle.newReference();
      call(new AlipayTradePrecreateRequest(), order(reference));
      sandbox.act("open", "provider", "alipay", "reference", reference);
      call(new AlipayTradeCloseRequest(), "out_trade_no", reference);
      Oracle.same(status(reference), "TRADE_CLOSED");
    });
    Oracle.check(line("an answer that Alipay did not sign is not believed"), () -> {
      String kind = "bad_signature";
      sandbox.act("faults", "provider", "alipay", "operation", "query", "kind", kind);
      Oracle.fails(AlipayApiException.class, () -> status("x"));
    });
  }

  private void forging() {
    Oracle.check("another application's key is refused", () -> {
      String other = Oracle.text(app(sandbox, "aes"), "app_private_key_file");
      AlipayTradeQueryRequest request = new AlipayTradeQueryRequest();
      prepare(request, "out_trade_no", "x");
      String code = new DefaultAlipayClient(config(other)).execute(request).getSubCode();
      Oracle.same(code, "isv.invalid-signature");
    });
  }

  public static void main(String[] arguments) throws Exception {
    Oracle.Sandbox sandbox = new Oracle.Sandbox(arguments[0]);
    try (Oracle.Receiver receiver = new Oracle.Receiver(200, "success")) {
      Object[][] modes = {
        {"main", "public key", false},
        {"cert", "certificates", false},
        {"old", "the old signature", false},
        {"aes", "content encryption", true},
      };
      for (Object[] each : modes) {
        Check check =
            new Check(
                sandbox, receiver, (String) each[0], (String) each[1], (Boolean) each[2]);
        check.refunding(check.paying());
        check.ending();
      }
      new Check(sandbox, receiver, "main", "public key", false).forging();
    }
    // The SDK's connections keep threads.
    System.exit(0);
  }
}
