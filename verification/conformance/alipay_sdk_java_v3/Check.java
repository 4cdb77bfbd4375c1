import com.alipay.v3.ApiClient;
import com.alipay.v3.ApiException;
import com.alipay.v3.api.AlipayTradeApi;
import com.alipay.v3.api.AlipayTradeFastpayRefundApi;
import com.alipay.v3.model.AlipayTradeCancelModel;
import com.alipay.v3.model.AlipayTradeCloseModel;
import com.alipay.v3.model.AlipayTradeCreateModel;
import com.alipay.v3.model.AlipayTradeFastpayRefundQueryModel;
import com.alipay.v3.model.AlipayTradePayModel;
import com.alipay.v3.model.AlipayTradePayResponseModel;
import com.alipay.v3.model.AlipayTradePrecreateModel;
import com.alipay.v3.model.AlipayTradeQueryDefaultResponse;
import com.alipay.v3.model.AlipayTradeQueryModel;
import com.alipay.v3.model.AlipayTradeRefundModel;
import com.alipay.v3.model.AlipayTradeRefundResponseModel;
import com.alipay.v3.util.AlipaySignature;
import com.alipay.v3.util.model.AlipayConfig;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Alipay's own SDK for Java (OpenAPI v3) against the sandbox, in every mode.
 *
 * <p>Usage: Check MANIFEST.
 */
final class Check {
  private static final String SUBJECT = "三体 & 黑暗{森林}";
  private static final String AMOUNT = "88.88";

  private final Oracle.Sandbox sandbox;
  private final Oracle.Receiver receiver;
  private final JsonObject app;
  private final String mode;
  private final AlipayTradeApi trades;
  private final AlipayTradeFastpayRefundApi refunds;

  private Check(
      Oracle.Sandbox sandbox, Oracle.Receiver receiver, String name, String mode, String key)
      throws Exception {
    this.sandbox = sandbox;
    this.receiver = receiver;
    this.mode = mode;
    app = app(sandbox, name);
    ApiClient client = new ApiClient();
    client.setBasePath(Oracle.text(sandbox.manifest.getAsJsonObject("alipay"), "openapi_url"));
    client.setAlipayConfig(config(key));
    trades = new AlipayTradeApi(client);
    refunds = new AlipayTradeFastpayRefundApi(client);
  }

  private static JsonObject app(Oracle.Sandbox sandbox, String name) {
    return sandbox.manifest.getAsJsonObject("alipay").getAsJsonObject("apps").getAsJsonObject(name);
  }

  private AlipayConfig config(String privateKeyFile) throws Exception {
    AlipayConfig config = new AlipayConfig();
    config.setAppId(Oracle.text(app, "app_id"));
    config.setPrivateKey(bare(privateKeyFile));
    if (!app.get("aes_key").isJsonNull()) {
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

  private boolean isGenuine(Map<String, String> form) throws Exception {
    // The SDK takes the fields that it leaves out of the signature away from the map.
    Map<String, String> copy = new HashMap<>(form);
    if (Oracle.text(app, "mode").equals("certificate")) {
      return AlipaySignature.certVerifyV1(
          copy, Oracle.text(app, "alipay_cert_file"), "utf-8", "RSA2");
    }
    String key = bare(Oracle.text(app, "alipay_public_key_file"));
    return AlipaySignature.verifyV1(copy, key, "utf-8", "RSA2");
  }

  private String line(String text) {
    return mode + ": " + text;
  }

  private String status(String reference) throws ApiException {
    return trades.query(new AlipayTradeQueryModel().outTradeNo(reference)).getTradeStatus();
  }

  /** The HTTP status and the code of a call that Alipay refuses. */
  private static String refusal(Oracle.Action action) {
    ApiException error = Oracle.fails(ApiException.class, action);
    String code =
        JsonParser.parseString(error.getResponseBody()).getAsJsonObject().get("code").getAsString();
    return error.getCode() + " " + code;
  }

  private String precreate() throws ApiException {
    String reference = Oracle.newReference();
    AlipayTradePrecreateModel order = new AlipayTradePrecreateModel();
    order.outTradeNo(reference).subject(SUBJECT).totalAmount(AMOUNT).notifyUrl(receiver.url);
    Oracle.holds(trades.precreate(order).getQrCode().contains(reference), "the QR code's text");
    return reference;
  }

  private AlipayTradePayResponseModel pay(String reference) throws ApiException {
    AlipayTradePayModel order = new AlipayTradePayModel();
    order.outTradeNo(reference).subject(SUBJECT).totalAmount(AMOUNT);
    return trades.pay(order.scene("bar_code").authCode(paymentCode()));
  }

  /** A code on a payer's screen: each pays one order only. */
  private static String paymentCode() {
    return String.format("28%012d8888", ThreadLocalRandom.current().nextLong(1000000000000L));
  }

  private void paying() {
    Oracle.check(line("precreate, pay, notification and query agree"), () -> {
      String reference = precreate();
      Oracle.same(refusal(() -> status(reference)), "400 ACQ.TRADE_NOT_EXIST");
      sandbox.act("pay", "provider", "alipay", "reference", reference);
      Map<String, String> form =
          receiver.next(each -> reference.equals(each.form().get("out_trade_no"))).form();
      Oracle.same(form.get("trade_status"), "TRADE_SUCCESS");
      Oracle.holds(isGenuine(form), "the notification verifies");
      form.put("total_amount", "0.01");
      Oracle.holds(!isGenuine(form), "an altered notification was accepted");
      Oracle.same(status(reference), "TRADE_SUCCESS");
    });
    Oracle.check(line("a payment code is charged once"), () -> {
      String reference = Oracle.newReference();
      AlipayTradePayResponseModel paid = pay(reference);
      Oracle.same(paid.getTotalAmount(), AMOUNT);
      Oracle.same(paid.getFundBillList().get(0).getAmount(), AMOUNT);
      Oracle.same(refusal(() -> pay(reference)), "400 ACQ.TRADE_HAS_SUCCESS");
    });
    Oracle.check(line("the SDK reads a business error's code"), () -> {
      ApiException error = Oracle.fails(ApiException.class, () -> status("x"));
      AlipayTradeQueryDefaultResponse read =
          (AlipayTradeQueryDefaultResponse) error.getErrorObject();
      Oracle.same(
          read.getAlipayTradeQueryErrorResponseModel().getCode().getValue(),
          "ACQ.TRADE_NOT_EXIST");
    });
  }

  private AlipayTradeRefundResponseModel refund(String reference, String number, String amount)
      throws ApiException {
    AlipayTradeRefundModel refund = new AlipayTradeRefundModel();
    refund.outTradeNo(reference).outRequestNo(number).refundAmount(amount);
    return trades.refund(refund.queryOptions(List.of("refund_detail_item_list")));
  }

  private void refunding() {
    Oracle.check(line("two partial refunds move money once each"), () -> {
      String reference = Oracle.newReference();
      pay(reference);
      Oracle.same(refund(reference, "r1", "8.88").getFundChange(), "Y");
      Oracle.same(refund(reference, "r1", "8.88").getFundChange(), "N");
      AlipayTradeRefundResponseModel second = refund(reference, "r2", "30.00");
      Oracle.same(second.getRefundFee(), "38.88");
      Oracle.same(second.getRefundDetailItemList().get(0).getAmount(), "30.00");
      Oracle.same(
          refusal(() -> refund(reference, "r3", "50.01")), "400 ACQ.REASON_TRADE_REFUND_FEE_ERR");
      AlipayTradeFastpayRefundQueryModel query = new AlipayTradeFastpayRefundQueryModel();
      query.outTradeNo(reference).outRequestNo("r2");
      Oracle.same(refunds.query(query).getRefundAmount(), "30.00");
      Oracle.same(sandbox.refunded(reference), List.of(888, 3000));
    });
  }

  private void ending() {
    Oracle.check(line("an open trade closes"), () -> {
      String reference = Oracle.newReference();
      AlipayTradeCreateModel order = new AlipayTradeCreateModel();
      order.outTradeNo(reference).subject(SUBJECT).totalAmount(AMOUNT);
      trades.create(order.buyerId("2088622987654321"));
      trades.close(new AlipayTradeCloseModel().outTradeNo(reference));
      Oracle.same(status(reference), "TRADE_CLOSED");
    });
    Oracle.check(line("a paid trade that is cancelled is refunded"), () -> {
      String reference = Oracle.newReference();
      pay(reference);
      AlipayTradeCancelModel cancelled = new AlipayTradeCancelModel().outTradeNo(reference);
      Oracle.same(trades.cancel(cancelled).getAction(), "refund");
      Oracle.same(sandbox.refunded(reference), List.of(8888));
    });
    Oracle.check(line("an answer with a wrong signature is refused by the SDK"), () -> {
      String reference = Oracle.newReference();
      String kind = "bad_signature";
      sandbox.act("faults", "provider", "alipay", "operation", "create", "kind", kind);
      ApiException error = Oracle.fails(ApiException.class, () -> pay(reference));
      Oracle.holds(error.getMessage().contains("sign check fail"), error);
      Oracle.same(status(reference), "TRADE_SUCCESS");
    });
  }

  public static void main(String[] arguments) throws Exception {
    Oracle.Sandbox sandbox = new Oracle.Sandbox(arguments[0]);
    try (Oracle.Receiver receiver = new Oracle.Receiver(200, "success")) {
      String[][] modes = {
        {"main", "public key"}, {"cert", "certificates"}, {"aes", "content encryption"},
      };
      for (String[] each : modes) {
        String key = Oracle.text(app(sandbox, each[0]), "app_private_key_file");
        Check check = new Check(sandbox, receiver, each[0], each[1], key);
        check.paying();
        check.refunding();
        check.ending();
      }
      String other = Oracle.text(app(sandbox, "aes"), "app_private_key_file");
      Check forger = new Check(sandbox, receiver, "main", "public key", other);
      Oracle.check("another application's key is refused", () ->
          Oracle.same(refusal(() -> forger.status("x")), "400 invalid-signature"));
      Oracle.check("known fault of this SDK: it cannot read a list of links", () -> {
        ApiException error = Oracle.fails(ApiException.class, () -> forger.status("x"));
        Oracle.holds(error.getResponseBody().contains("\"links\""), error.getResponseBody());
        Oracle.same(error.getErrorObject(), null);
      });
    }
    // The SDK's connections keep threads.
    System.exit(0);
  }
}
