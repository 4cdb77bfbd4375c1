// Apple's own library for Node against the sandbox, on both hosts. Usage: check.mjs MANIFEST, with
// the harness and the packages beside it.
import {
  AppStoreServerAPIClient,
  Environment,
  GetTransactionHistoryVersion,
  SignedDataVerifier,
} from '@apple/app-store-server-library';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Receiver, Sandbox, check, fails, holds, same } from './oracle.mjs';

const COINS = 'com.paysaga.tea.coins';
const MONTHLY = 'com.paysaga.tea.monthly';
const HOSTS = { [Environment.SANDBOX]: 'base_url', [Environment.PRODUCTION]: 'production_url' };
const FORGERIES = [
  'bad_signature',
  'tamper_body',
  'foreign_key',
  'foreign_ca',
  'unsigned',
  'alg_hs256',
  'two_certificates',
  'expired_certificate',
  'leaf_without_oid',
  'intermediate_without_oid',
  'foreign_app',
  'wrong_environment',
];

function client(sandbox, environment) {
  const section = sandbox.manifest.apple_iap;
  const app = section.apps.main;
  const key = readFileSync(app.private_key_file, 'utf8');
  const built = new AppStoreServerAPIClient(
    key, app.key_id, app.issuer_id, app.bundle_id, environment,
  );
  // The library has no parameter for an address.
  built.urlBase = section[HOSTS[environment]];
  return built;
}

function verifier(sandbox, environment) {
  const section = sandbox.manifest.apple_iap;
  const app = section.apps.main;
  const root = readFileSync(section.root_certificate_file);
  return new SignedDataVerifier([root], false, environment, app.bundle_id, app.app_apple_id);
}

async function checkEnvironment(sandbox, receiver, environment) {
  const api = client(sandbox, environment);
  const trusted = verifier(sandbox, environment);
  const control = (deed, content) => sandbox.do(`apple_iap/${deed}`, content);
  const buy = (product, token) =>
    control('buy', { product_id: product, app_account_token: token, environment });
  const notified = (type) =>
    receiver.next(async (message) => {
      const payload = JSON.parse(message.body).signedPayload;
      const told = await trusted.verifyAndDecodeNotification(payload);
      message.told = told;
      return told.notificationType === type;
    });
  const token = randomUUID();
  let bought;
  await check(`${environment}: a purchase verifies and names its order`, async () => {
    bought = await buy(COINS, token);
    const said = await trusted.verifyAndDecodeTransaction(bought.signed_transaction);
    same([said.appAccountToken, said.productId], [token, COINS]);
    same(said.environment, environment);
  });
  await check(`${environment}: its notification verifies`, async () => {
    const { told } = await notified('ONE_TIME_CHARGE');
    const inner = await trusted.verifyAndDecodeTransaction(told.data.signedTransactionInfo);
    same(inner.transactionId, bought.transaction_id);
  });
  await check(`${environment}: the API answers with the same transaction`, async () => {
    const answer = await api.getTransactionInfo(bought.transaction_id);
    const said = await trusted.verifyAndDecodeTransaction(answer.signedTransactionInfo);
    same(said.appAccountToken, token);
  });
  await check(`${environment}: the history holds it`, async () => {
    const asked = [bought.transaction_id, null, {}, GetTransactionHistoryVersion.V2];
    const answer = await api.getTransactionHistory(...asked);
    same(answer.signedTransactions.length, 1);
  });
  await check(`${environment}: a refund is told and is in the refund history`, async () => {
    await control('refund', { transaction_id: bought.transaction_id });
    await notified('REFUND');
    const answer = await api.getRefundHistory(bought.transaction_id, null);
    const said = await trusted.verifyAndDecodeTransaction(answer.signedTransactions[0]);
    holds(said.revocationDate, said);
  });
  await check(`${environment}: a subscription's status and renewal verify`, async () => {
    const monthly = await buy(MONTHLY, randomUUID());
    const answer = await api.getAllSubscriptionStatuses(monthly.transaction_id);
    const item = answer.data[0].lastTransactions[0];
    same(item.status, 1);
    same((await trusted.verifyAndDecodeRenewalInfo(item.signedRenewalInfo)).productId, MONTHLY);
  });
  await check(`${environment}: a test notification is of this environment`, async () => {
    const answer = await api.requestTestNotification();
    const { told } = await notified('TEST');
    same(told.data.environment, environment);
    const status = await api.getTestNotificationStatus(answer.testNotificationToken);
    await trusted.verifyAndDecodeNotification(status.signedPayload);
  });
  await check(`${environment}: an unknown transaction has Apple's code`, async () => {
    const error = await fails(() => api.getTransactionInfo('20000000000001'));
    same([error.httpStatusCode, error.apiError], [404, 4040010]);
  });
  await check(`${environment}: the other host does not know the purchase`, async () => {
    const other = Object.keys(HOSTS).find((each) => each !== environment);
    const error = await fails(() => client(sandbox, other).getTransactionInfo(bought.transaction_id));
    same(error.apiError, 4040010);
  });
  for (const flaw of FORGERIES) {
    await check(`${environment}: a transaction with ${flaw} is refused`, async () => {
      const held = await control('jws', { transaction_id: bought.transaction_id, flaw });
      await fails(() => trusted.verifyAndDecodeTransaction(held.signed_transaction));
    });
  }
}

const sandbox = new Sandbox(process.argv[2]);
const receiver = await new Receiver().listen(200, '');
await sandbox.do('apple_iap/apps/main', { notification_url: receiver.url });
await checkEnvironment(sandbox, receiver, Environment.SANDBOX);
await checkEnvironment(sandbox, receiver, Environment.PRODUCTION);
await sandbox.do('apple_iap/apps/main', { notification_url: null });
receiver.close();
