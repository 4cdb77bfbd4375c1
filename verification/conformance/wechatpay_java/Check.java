import com.google.gson.JsonObject;
import com.wechat.pay.java.core.Config;
import com.wechat.pay.java.core.RSAAutoCertificateConfig;
import com.wechat.pay.java.core.RSAPublicKeyConfig;
import com.wechat.pay.java.core.exception.ServiceException;
import com.wechat.pay.java.core.exception.ValidationException;
import com.wechat.pay.java.core.http.DefaultHttpClientBuilder;
import com.wechat.pay.java.core.http.HttpClient;
import com.wechat.pay.java.core.notification.NotificationConfig;
import com.wechat.pay.java.core.notification.NotificationParser;
import com.wechat.pay.java.core.notification.RequestParam;
import com.wechat.pay.java.service.payments.h5.H5Service;
import com.wechat.pay.java.service.payments.h5.model.H5Info;
import com.wechat.pay.java.service.payments.jsapi.JsapiServiceExtension;
import com.wechat.pay.java.service.payments.jsapi.model.Payer;
import com.wechat.pay.java.service.payments.model.Transaction;
import com.wechat.pay.java.service.payments.nativepay.NativePayService;
import com.wechat.pay.java.service.payments.nativepay.model.Amount;
import com.wechat.pay.java.service.payments.nativepay.model.CloseOrderRequest;
import com.wechat.pay.java.service.payments.nativepay.model.PrepayRequest;
import com.wechat.pay.java.service.payments.nativepay.model.QueryOrderByOutTradeNoRequest;
import com.wechat.pay.java.service.refund.RefundService;
import com.wechat.pay.java.service.refund.model.AmountReq;
import com.wechat.pay.java.service.refund.model.CreateRequest;
import com.wechat.pay.java.service.refund.model.QueryByOutRefundNoRequest;
import com.wechat.pay.java.service.refund.model.Refund;
import com.wechat.pay.java.service.refund.model.RefundNotification;
import java.util.List;
import okhttp3.HttpUrl;
import okhttp3.OkHttpClient;

/**
 * WeChat Pay's own SDK for Java against the sandbox, in both of its modes.
 *
 * <p>Usage: Check MANIFEST. Only the address is replaced, below what the SDK signs and verifies.
 */
final class Check {
  private static final String TEXT = "三体 & 黑暗森林";
  private static final int FEN = 8888;

  private final Oracle.Sandbox sandbox;
  private final Oracle.Receiver receiver;
  private final JsonObject merchant;
  private final String mode;
  private final String appid;
  private final NativePayService orders;
  private final RefundService refunds;
  private final NotificationParser parser;
  private final Config config;
  private final HttpClient http;

  private Check(Oracle.Sandbox sandbox, Oracle.Receiver receiver, String name, String mode)
      throws Exception {
    this.sandbox = sandbox;
    this.receiver = receiver;
    this.mode = mode;
    JsonObject section = sandbox.manifest.getAsJsonObject("wechatpay");
    merchant = section.getAsJsonObject("merchants").getAsJsonObject(name);
    appid = Oracle.text(section, "appid");
    DefaultHttpClientBuilder led = led(Oracle.text(section, "base_url"));
    config = merchant.has("public_key_id") ? publicKey() : certificates(led);
    http = led.newInstance().config(config).build();
    orders = new NativePayService.Builder().httpClient(http).build();
    refunds = new RefundService.Builder().httpClient(http).build();
    parser = new NotificationParser((NotificationConfig) config);
  }

  private static DefaultHttpClientBuilder led(String origin) {
    HttpUrl target = HttpUrl.get(origin);
    OkHttpClient client =
        new OkHttpClient.Builder()
            .addInterceptor(
                chain -> {
                  HttpUrl url = chain.request().url().newBuilder()
                      .scheme(target.scheme()).host(target.host()).port(target.port()).build();
                  return chain.proceed(chain.request().newBuilder().url(url).build());
                })
            .build();
    return new DefaultHttpClientBuilder().okHttpClient(client);
  }

  private Config certificates(DefaultHttpClientBuilder led) {
    return new RSAAutoCertificateConfig.Builder()
        .merchantId(Oracle.text(merchant, "mchid"))
        .privateKeyFromPath(Oracle.text(merchant, "merchant_private_key_file"))
        .merchantSerialNumber(Oracle.text(merchant, "merchant_serial"))
        .apiV3Key(Oracle.text(merchant, "api_v3_key"))
        .httpClientBuilder(led)
        .build();
  }

  private Config publicKey() {
    return new RSAPublicKeyConfig.Builder()
        .merchantId(Oracle.text(merchant, "mchid"))
        .privateKeyFromPath(Oracle.text(merchant, "merchant_private_key_file"))
        .merchantSerialNumber(Oracle.text(merchant, "merchant_serial"))
        .publicKeyFromPath(Oracle.text(merchant, "public_key_file"))
        .publicKeyId(Oracle.text(merchant, "public_key_id"))
        .apiV3Key(Oracle.text(merchant, "api_v3_key"))
        .build();
  }

  private String place(String reference) {
    PrepayRequest request = new PrepayRequest();
    Amount amount = new Amount();
    amount.setTotal(FEN);
    request.setAmount(amount);
    request.setAppid(appid);
    request.setMchid(Oracle.text(merchant, "mchid"));
    request.setDescription(TEXT);
    request.setNotifyUrl(receiver.url);
    request.setOutTradeNo(reference);
    return orders.prepay(request).getCodeUrl();
  }

  private Transaction query(String reference) {
    QueryOrderByOutTradeNoRequest request = new QueryOrderByOutTradeNoRequest();
    request.setMchid(Oracle.text(merchant, "mchid"));
    request.setOutTradeNo(reference);
    return orders.queryOrderByOutTradeNo(request);
  }

  private <T> T opened(Oracle.Message message, String body, Class<T> kind) {
    RequestParam param =
        new RequestParam.Builder()
            .serialNumber(message.headers().get("wechatpay-serial"))
            .nonce(message.headers().get("wechatpay-nonce"))
            .signature(message.headers().get("wechatpay-signature"))
            .timestamp(message.headers().get("wechatpay-timestamp"))
            .signType(message.headers().get("wechatpay-signature-type"))
            .body(body)
            .build();
    return parser.parse(param, kind);
  }

  private String line(String text) {
    return mode + ": " + text;
  }

  private void ordering() {
    Oracle.check(line("native gives a code"), () ->
        Oracle.holds(place(Oracle.newReference()).startsWith("weixin://"), "no code"));
    Oracle.check(line("h5 gives an address"), () -> {
      com.wechat.pay.java.service.payments.h5.model.PrepayRequest request =
          new com.wechat.pay.java.service.payments.h5.model.PrepayRequest();
      com.wechat.pay.java.service.payments.h5.model.Amount amount =
          new com.wechat.pay.java.service.payments.h5.model.Amount();
      amount.setTotal(FEN);
      request.setAmount(amount);
      request.setAppid(appid);
      request.setMchid(Oracle.text(merchant, "mchid"));
      request.setDescription(TEXT);
      request.setNotifyUrl(receiver.url);
      request.setOutTradeNo(Oracle.newReference());
      com.wechat.pay.java.service.payments.h5.model.SceneInfo scene =
          new com.wechat.pay.java.service.payments.h5.model.SceneInfo();
      scene.setPayerClientIp("203.0.113.9");
      H5Info info = new H5Info();
      info.setType("Wap");
      scene.setH5Info(info);
      request.setSceneInfo(scene);
      H5Service service = new H5Service.Builder().httpClient(http).build();
      Oracle.holds(service.prepay(request).getH5Url().startsWith("http"), "no address");
    });
    Oracle.check(line("the sandbox's mini program believes the SDK's parameters"), this::jsapi);
  }

  private void jsapi() throws Exception {
    com.wechat.pay.java.service.payments.jsapi.model.PrepayRequest request =
        new com.wechat.pay.java.service.payments.jsapi.model.PrepayRequest();
    com.wechat.pay.java.service.payments.jsapi.model.Amount amount =
        new com.wechat.pay.java.service.payments.jsapi.model.Amount();
    amount.setTotal(FEN);
    Payer payer = new Payer();
    payer.setOpenid("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o");
    request.setAmount(amount);
    request.setPayer(payer);
    request.setAppid(appid);
    request.setMchid(Oracle.text(merchant, "mchid"));
    request.setDescription(TEXT);
    request.setNotifyUrl(receiver.url);
    request.setOutTradeNo(Oracle.newReference());
    JsapiServiceExtension service =
        new JsapiServiceExtension.Builder().config(config).httpClient(http).build();
    com.wechat.pay.java.service.payments.jsapi.model.PrepayWithRequestPaymentResponse made =
        service.prepayWithRequestPayment(request);
    JsonObject checkout = new JsonObject();
    checkout.addProperty("appId", made.getAppId());
    checkout.addProperty("timeStamp", made.getTimeStamp());
    checkout.addProperty("nonceStr", made.getNonceStr());
    checkout.addProperty("package", made.getPackageVal());
    checkout.addProperty("signType", made.getSignType());
    checkout.addProperty("paySign", made.getPaySign());
    JsonObject paid =
        sandbox.act("pay", "provider", "wechatpay", "checkout", checkout.toString());
    Oracle.same(Oracle.text(paid, "status"), "SUCCESS");
  }

  private String paying() {
    String reference = Oracle.newReference();
    Oracle.check(line("an order is NOTPAY until it is paid"), () -> {
      place(reference);
      Oracle.same(query(reference).getTradeState(), Transaction.TradeStateEnum.NOTPAY);
    });
    Oracle.check(line("the notification verifies and opens; altered it does not"), () -> {
      sandbox.act("pay", "provider", "wechatpay", "reference", reference);
      Oracle.Message message = receiver.next(each ->
          reference.equals(opened(each, each.body(), Transaction.class).getOutTradeNo()));
      Transaction told = opened(message, message.body(), Transaction.class);
      Oracle.same(told.getAmount().getTotal(), FEN);
      String altered = message.body().replace("SUCCESS", "SUCCES5");
      Oracle.fails(
          ValidationException.class, () -> opened(message, altered, Transaction.class));
    });
    Oracle.check(line("query tells the status and the amount"), () -> {
      Transaction found = query(reference);
      Oracle.same(found.getTradeState(), Transaction.TradeStateEnum.SUCCESS);
      Oracle.same(found.getAmount().getTotal(), FEN);
    });
    Oracle.check(line("an unknown order is refused"), () -> {
      ServiceException error =
          Oracle.fails(ServiceException.class, () -> query(Oracle.newReference()));
      Oracle.same(error.getErrorCode(), "ORDER_NOT_EXIST");
    });
    return reference;
  }

  private Refund back(String reference, String number, long fen) {
    CreateRequest request = new CreateRequest();
    AmountReq amount = new AmountReq();
    amount.setRefund(fen);
    amount.setTotal((long) FEN);
    amount.setCurrency("CNY");
    request.setAmount(amount);
    request.setOutTradeNo(reference);
    request.setOutRefundNo(number);
    request.setReason(TEXT);
    return refunds.create(request);
  }

  private void refunding(String reference) {
    String first = Oracle.newReference();
    String second = Oracle.newReference();
    Oracle.check(line("two parts go back, a repeat moves nothing"), () -> {
      back(reference, first, 888);
      back(reference, first, 888);
      back(reference, second, 3000);
      for (int count = 0; count < 2; count++) {
        receiver.next(each ->
            reference.equals(opened(each, each.body(), RefundNotification.class).getOutTradeNo()));
      }
      Oracle.same(sandbox.refunded(reference), List.of(888, 3000));
    });
    Oracle.check(line("the refund query knows what was done"), () -> {
      QueryByOutRefundNoRequest request = new QueryByOutRefundNoRequest();
      request.setOutRefundNo(second);
      Oracle.same(refunds.queryByOutRefundNo(request).getAmount().getRefund(), 3000L);
    });
    Oracle.check(line("more than was paid is refused"), () -> {
      Oracle.fails(ServiceException.class, () -> back(reference, Oracle.newReference(), 5001));
      Oracle.same(sandbox.refunded(reference), List.of(888, 3000));
    });
  }

  private void ending() {
    Oracle.check(line("closing answers 204, and the order is CLOSED"), () -> {
      String reference = Oracle.newReference();
      place(reference);
      CloseOrderRequest request = new CloseOrderRequest();
      request.setMchid(Oracle.text(merchant, "mchid"));
      request.setOutTradeNo(reference);
      orders.closeOrder(request);
      Oracle.same(query(reference).getTradeState(), Transaction.TradeStateEnum.CLOSED);
    });
    Oracle.check(line("an answer that WeChat Pay did not sign is not believed"), () -> {
      String reference = Oracle.newReference();
      place(reference);
      sandbox.act("faults", "provider", "wechatpay", "operation", "query", "kind", "signtest");
      Oracle.fails(ValidationException.class, () -> query(reference));
    });
  }

  public static void main(String[] arguments) throws Exception {
    Oracle.Sandbox sandbox = new Oracle.Sandbox(arguments[0]);
    try (Oracle.Receiver receiver = new Oracle.Receiver(204, "")) {
      for (String[] each : new String[][] {{"cert", "certificates"}, {"pubkey", "public key"}}) {
        Check check = new Check(sandbox, receiver, each[0], each[1]);
        check.ordering();
        check.refunding(check.paying());
        check.ending();
      }
    }
    // The SDK keeps a thread that downloads certificates.
    System.exit(0);
  }
}
