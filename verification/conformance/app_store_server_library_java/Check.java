import com.apple.itunes.storekit.client.APIException;
import com.apple.itunes.storekit.client.AppStoreServerAPIClient;
import com.apple.itunes.storekit.model.Environment;
import com.apple.itunes.storekit.model.JWSTransactionDecodedPayload;
import com.apple.itunes.storekit.model.LastTransactionsItem;
import com.apple.itunes.storekit.model.NotificationTypeV2;
import com.apple.itunes.storekit.model.ResponseBodyV2DecodedPayload;
import com.apple.itunes.storekit.model.Status;
import com.apple.itunes.storekit.verification.SignedDataVerifier;
import com.apple.itunes.storekit.verification.VerificationException;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.UUID;

/**
 * Apple's own library for Java against the sandbox, on both hosts.
 *
 * <p>Usage: Check MANIFEST. The library resolves its paths against the root of the host.
 */
final class Check {
  private static final String COINS = "com.paysaga.tea.coins";
  private static final String MONTHLY = "com.paysaga.tea.monthly";
  private static final String[] FORGERIES = {
    "bad_signature",
    "tamper_body",
    "foreign_key",
    "foreign_ca",
    "unsigned",
    "alg_hs256",
    "two_certificates",
    "expired_certificate",
    "leaf_without_oid",
    "intermediate_without_oid",
    "foreign_app",
    "wrong_environment",
  };

  private final Oracle.Sandbox sandbox;
  private final Oracle.Receiver receiver;
  private final Environment environment;
  private final JsonObject section;
  private final JsonObject app;
  private final AppStoreServerAPIClient api;
  private final SignedDataVerifier verifier;

  private Check(Oracle.Sandbox sandbox, Oracle.Receiver receiver, Environment environment)
      throws Exception {
    this.sandbox = sandbox;
    this.receiver = receiver;
    this.environment = environment;
    section = sandbox.manifest.getAsJsonObject("apple_iap");
    app = section.getAsJsonObject("apps").getAsJsonObject("main");
    api = client(environment);
    byte[] root = Files.readAllBytes(Path.of(Oracle.text(section, "root_certificate_file")));
    verifier =
        new SignedDataVerifier(
            Set.of(new ByteArrayInputStream(root)),
            Oracle.text(app, "bundle_id"),
            app.get("app_apple_id").getAsLong(),
            environment,
            false);
  }

  private AppStoreServerAPIClient client(Environment of) throws Exception {
    boolean isProduction = of == Environment.PRODUCTION;
    String address = Oracle.text(section, isProduction ? "production_url" : "base_url");
    String key = Oracle.read(Oracle.text(app, "private_key_file"));
    return new AppStoreServerAPIClient(
        key,
        Oracle.text(app, "key_id"),
        Oracle.text(app, "issuer_id"),
        Oracle.text(app, "bundle_id"),
        of) {
      @Override
      protected String getUrlForEnvironment(Environment ignored) {
        return address;
      }
    };
  }

  private JsonObject buy(String product, String token) throws Exception {
    return sandbox.act(
        "apple_iap/buy",
        "product_id", product, "app_account_token", token, "environment", environment.getValue());
  }

  private ResponseBodyV2DecodedPayload told(Oracle.Message message) throws Exception {
    JsonObject body = JsonParser.parseString(message.body()).getAsJsonObject();
    return verifier.verifyAndDecodeNotification(Oracle.text(body, "signedPayload"));
  }

  private ResponseBodyV2DecodedPayload next(NotificationTypeV2 type) throws Exception {
    return told(receiver.next(each -> told(each).getNotificationType() == type));
  }

  private String line(String text) {
    return environment.getValue() + ": " + text;
  }

  private String buying() throws Exception {
    String token = UUID.randomUUID().toString();
    JsonObject bought = buy(COINS, token);
    String number = Oracle.text(bought, "transaction_id");
    Oracle.check(line("a purchase verifies and names its order"), () -> {
      JWSTransactionDecodedPayload said =
          verifier.verifyAndDecodeTransaction(Oracle.text(bought, "signed_transaction"));
      Oracle.same(said.getAppAccountToken().toString(), token);
      Oracle.same(said.getEnvironment(), environment);
    });
    Oracle.check(line("its notification verifies"), () -> {
      String inner = next(NotificationTypeV2.ONE_TIME_CHARGE).getData().getSignedTransactionInfo();
      Oracle.same(verifier.verifyAndDecodeTransaction(inner).getTransactionId(), number);
    });
    Oracle.check(line("the API answers with the same transaction"), () -> {
      String info = api.getTransactionInfo(number).getSignedTransactionInfo();
      Oracle.same(verifier.verifyAndDecodeTransaction(info).getTransactionId(), number);
    });
    Oracle.check(line("a refund is told and is in the refund history"), () -> {
      sandbox.act("apple_iap/refund", "transaction_id", number);
      next(NotificationTypeV2.REFUND);
      String info = api.getRefundHistory(number, null).getSignedTransactions().get(0);
      Oracle.holds(
          verifier.verifyAndDecodeTransaction(info).getRevocationDate() != null, "not revoked");
    });
    return number;
  }

  private void asking(String number) {
    Oracle.check(line("a subscription's status and renewal verify"), () -> {
      String monthly = Oracle.text(buy(MONTHLY, UUID.randomUUID().toString()), "transaction_id");
      LastTransactionsItem item =
          api.getAllSubscriptionStatuses(monthly, null)
              .getData().get(0).getLastTransactions().get(0);
      Oracle.same(item.getStatus(), Status.ACTIVE);
      String renewal = item.getSignedRenewalInfo();
      Oracle.same(verifier.verifyAndDecodeRenewalInfo(renewal).getProductId(), MONTHLY);
    });
    Oracle.check(line("a test notification is of this environment"), () -> {
      String token = api.requestTestNotification().getTestNotificationToken();
      Oracle.same(next(NotificationTypeV2.TEST).getData().getEnvironment(), environment);
      verifier.verifyAndDecodeNotification(
          api.getTestNotificationStatus(token).getSignedPayload());
    });
    Oracle.check(line("an unknown transaction has Apple's code"), () -> {
      APIException error =
          Oracle.fails(APIException.class, () -> api.getTransactionInfo("20000000000001"));
      Oracle.same(error.getRawApiError(), 4040010L);
    });
    Oracle.check(line("the other host does not know the purchase"), () -> {
      boolean isSandbox = environment == Environment.SANDBOX;
      AppStoreServerAPIClient other =
          client(isSandbox ? Environment.PRODUCTION : Environment.SANDBOX);
      Oracle.fails(APIException.class, () -> other.getTransactionInfo(number));
    });
  }

  private void refusing(String number) {
    for (String flaw : FORGERIES) {
      Oracle.check(line("a transaction with " + flaw + " is refused"), () -> {
        JsonObject held =
            sandbox.act("apple_iap/jws", "transaction_id", number, "flaw", flaw);
        String text = Oracle.text(held, "signed_transaction");
        Oracle.fails(
            VerificationException.class, () -> verifier.verifyAndDecodeTransaction(text));
      });
    }
  }

  public static void main(String[] arguments) throws Exception {
    Oracle.Sandbox sandbox = new Oracle.Sandbox(arguments[0]);
    try (Oracle.Receiver receiver = new Oracle.Receiver(200, "")) {
      String settings = "apple_iap/apps/main";
      sandbox.act(settings, "notification_url", receiver.url);
      for (Environment each : new Environment[] {Environment.SANDBOX, Environment.PRODUCTION}) {
        Check check = new Check(sandbox, receiver, each);
        String number = check.buying();
        check.asking(number);
        check.refusing(number);
      }
    }
    System.exit(0);
  }
}
