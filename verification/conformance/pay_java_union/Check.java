import com.egzosn.pay.common.bean.AssistOrder;
import com.egzosn.pay.common.bean.CertStoreType;
import com.egzosn.pay.common.bean.PayOrder;
import com.egzosn.pay.common.bean.RefundOrder;
import com.egzosn.pay.common.exception.PayErrorException;
import com.egzosn.pay.common.http.HttpConfigStorage;
import com.egzosn.pay.union.api.UnionPayConfigStorage;
import com.egzosn.pay.union.api.UnionPayService;
import com.egzosn.pay.union.bean.UnionTransactionType;
import com.google.gson.JsonObject;
import java.math.BigDecimal;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * pay-java-union against the sandbox's UnionPay: RSA with each chain and PFX.
 *
 * <p>Usage: Check MANIFEST. The addresses are replaced, nothing that it signs or verifies.
 */
final class Check {
  private static final BigDecimal YUAN = new BigDecimal("88.88");

  private final Oracle.Sandbox sandbox;
  private final Oracle.Receiver receiver;
  private final JsonObject section;
  private final String name;
  private final UnionPayService service;

  private Check(Oracle.Sandbox sandbox, Oracle.Receiver receiver, String name) {
    this.sandbox = sandbox;
    this.receiver = receiver;
    this.name = name;
    section = sandbox.manifest.getAsJsonObject("unionpay");
    service = service(name, name);
  }

  private JsonObject merchant(String name) {
    return section.getAsJsonObject("merchants").getAsJsonObject(name);
  }

  /** The client of `own`, with the authorities of `chain`. */
  private UnionPayService service(String own, String chain) {
    UnionPayConfigStorage config = new UnionPayConfigStorage();
    config.setMerId(Oracle.text(merchant(own), "mer_id"));
    config.setCertSign(true);
    config.setCertStoreType(CertStoreType.PATH);
    config.setKeyPrivateCert(Oracle.text(merchant(own), "pfx_file"));
    config.setKeyPrivateCertPwd(Oracle.text(merchant(own), "pfx_password"));
    config.setAcpMiddleCert(Oracle.text(merchant(chain), "middle_certificate_file"));
    config.setAcpRootCert(Oracle.text(merchant(chain), "root_certificate_file"));
    config.setNotifyUrl(receiver.url);
    config.setReturnUrl(receiver.url);
    config.setSignType("RSA2");
    config.setInputCharset("UTF-8");
    config.setTest(true);
    String base = Oracle.text(section, "base_url");
    HttpConfigStorage http = new HttpConfigStorage();
    http.setMaxTotal(4);
    http.setDefaultMaxPerRoute(4);
    return new UnionPayService(config, http) {
      @Override
      public String getFrontTransUrl() {
        return base + "/frontTransReq.do";
      }

      @Override
      public String getBackTransUrl() {
        return base + "/backTransReq.do";
      }

      @Override
      public String getAppTransUrl() {
        return base + "/appTransReq.do";
      }

      @Override
      public String getSingleQueryUrl() {
        return base + "/queryTrans.do";
      }
    };
  }

  private PayOrder order(String reference, UnionTransactionType type) {
    PayOrder order = new PayOrder("三体", "黑暗森林", YUAN, reference, type);
    if (type == UnionTransactionType.APP) {
      // The SDK names no product in an app order.
      order.addAttr("bizType", "000201");
    }
    return order;
  }

  private String line(String text) {
    return name + ": " + text;
  }

  private Map<String, Object> told(String reference, String type) throws Exception {
    Oracle.Message message =
        receiver.next(
            each -> {
              Map<String, String> form = each.form();
              return type.equals(form.get("txnType")) && form.containsValue(reference);
            });
    return new HashMap<>(message.form());
  }

  private void paying() {
    String reference = Oracle.newReference();
    Map<String, Object> paid = new HashMap<>();
    Oracle.check(line("an app order gives a tn, signed by UnionPay"), () ->
        Oracle.holds(
            service.app(order(reference, UnionTransactionType.APP)).get("tn") != null, "no tn"));
    Oracle.check(line("the notification verifies, an altered one does not"), () -> {
      sandbox.act("pay", "provider", "unionpay", "reference", reference);
      Map<String, Object> form = told(reference, "01");
      Oracle.same(form.get("txnAmt"), "8888");
      Oracle.holds(service.verify(new HashMap<>(form)), "the notification verifies");
      paid.putAll(form);
      form.put("txnAmt", "1");
      Oracle.holds(!service.verify(form), "an altered one was believed");
    });
    Oracle.check(line("a QR code pays"), () -> {
      String number = Oracle.newReference();
      String code = service.getQrPay(order(number, UnionTransactionType.APPLY_QR_CODE));
      JsonObject order = sandbox.act("pay", "provider", "unionpay", "checkout", code);
      Oracle.same(Oracle.text(order, "reference"), number);
    });
    Oracle.check(line("the form for the browser opens the order"), () -> {
      String number = Oracle.newReference();
      String page = service.toPay(order(number, UnionTransactionType.WEB));
      JsonObject order = sandbox.act("pay", "provider", "unionpay", "checkout", page);
      Oracle.same(Oracle.text(order, "reference"), number);
    });
    refunding(reference, paid);
  }

  private void refunding(String reference, Map<String, Object> paid) {
    Oracle.check(line("two parts go back"), () -> {
      for (String amount : new String[] {"8.88", "30.00"}) {
        RefundOrder refund = new RefundOrder();
        refund.setRefundNo(Oracle.newReference());
        refund.setTradeNo((String) paid.get("queryId"));
        refund.setRefundAmount(new BigDecimal(amount));
        Oracle.same(service.refund(refund).getRespCode(), "00");
        Map<String, Object> form = told(refund.getRefundNo(), "04");
        Oracle.holds(service.verify(form), "the notification verifies");
      }
      Oracle.same(sandbox.refunded(reference), List.of(888, 3000));
    });
    Oracle.check(line("more than was paid is refused"), () -> {
      RefundOrder refund = new RefundOrder();
      refund.setRefundNo(Oracle.newReference());
      refund.setTradeNo((String) paid.get("queryId"));
      refund.setRefundAmount(new BigDecimal("50.01"));
      Oracle.fails(PayErrorException.class, () -> service.refund(refund));
      Oracle.same(sandbox.refunded(reference), List.of(888, 3000));
    });
  }

  private void refusing() {
    for (String kind : new String[] {"bad_signature", "foreign_ca", "expired_certificate"}) {
      Oracle.check(line("an answer with " + kind + " is not believed"), () -> {
        sandbox.act("faults", "provider", "unionpay", "operation", "create", "kind", kind);
        PayOrder order = order(Oracle.newReference(), UnionTransactionType.APP);
        Oracle.fails(Exception.class, () -> service.app(order));
      });
    }
  }

  private void faulty() {
    Oracle.check("known fault of this SDK: it queries by the current time", () -> {
      String reference = Oracle.newReference();
      service.app(order(reference, UnionTransactionType.APP));
      sandbox.act("pay", "provider", "unionpay", "reference", reference);
      // The time has seconds: in the next one the order is not found.
      Thread.sleep(1100);
      PayErrorException error =
          Oracle.fails(
              PayErrorException.class, () -> service.query(new AssistOrder(reference)));
      Oracle.same(error.getPayError().getErrorCode(), "34");
    });
    Oracle.check("known fault of this SDK: it does not look at the signer's name", () -> {
      sandbox.act("faults", "provider", "unionpay", "operation", "create", "kind", "wrong_cn");
      service.app(order(Oracle.newReference(), UnionTransactionType.APP));
    });
  }

  private void mixing() {
    Oracle.check("the authorities of another chain verify nothing", () -> {
      UnionPayService mixed = service("main", "old");
      PayOrder order = order(Oracle.newReference(), UnionTransactionType.APP);
      Oracle.fails(Exception.class, () -> mixed.app(order));
    });
  }

  public static void main(String[] arguments) throws Exception {
    Oracle.Sandbox sandbox = new Oracle.Sandbox(arguments[0]);
    try (Oracle.Receiver receiver = new Oracle.Receiver(200, "ok")) {
      Check check = new Check(sandbox, receiver, "main");
      for (String name : new String[] {"main", "old", "old_pfx"}) {
        check = new Check(sandbox, receiver, name);
        check.paying();
        check.refusing();
      }
      check.faulty();
      check.mixing();
    }
    System.exit(0);
  }
}
