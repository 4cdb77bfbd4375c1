// Alipay's own SDK for Node against the sandbox: public key, certificates, content encryption, and
// the old signature; by `exec` (gateway.do) and by `curl` (OpenAPI v3). Usage: check.mjs MANIFEST, with the harness and the packages beside it.
import { AlipaySdk } from 'alipay-sdk';
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Receiver, Sandbox, check, fails, form, holds, newReference, same } from './oracle.mjs';

const ORDER = { subject: '三体 & 黑暗{森林}', total_amount: '88.88' };
const read = (path) => readFileSync(path, 'utf8');

function client(sandbox, name, changes = {}) {
  const app = sandbox.manifest.alipay.apps[name];
  const settings = {
    appId: app.app_id,
    privateKey: read(app.app_private_key_file),
    keyType: 'PKCS8',
    signType: app.sign_type,
    gateway: sandbox.manifest.alipay.gateway_url,
    endpoint: sandbox.manifest.alipay.openapi_url,
  };
  if (app.aes_key) settings.encryptKey = app.aes_key;
  if (app.mode === 'certificate') {
    settings.appCertPath = app.app_cert_file;
    settings.alipayPublicCertPath = app.alipay_cert_file;
    settings.alipayRootCertPath = app.alipay_root_cert_file;
  } else {
    settings.alipayPublicKey = read(app.alipay_public_key_file);
  }
  return new AlipaySdk({ ...settings, ...changes });
}

/** A call whose answer the SDK verifies, unless it is encrypted (see the known fault). */
function caller(sdk, receiver, needEncrypt, validateSign = !needEncrypt) {
  return (method, bizContent) =>
    sdk.exec(
      `alipay.trade.${method}`,
      { bizContent, needEncrypt, notify_url: receiver.url },
      { validateSign },
    );
}

async function checkPaying(sandbox, sdk, call, receiver, mode) {
  const reference = newReference();
  await check(`${mode}: precreate answers with a code, signed by Alipay`, async () => {
    const answer = await call('precreate', { out_trade_no: reference, ...ORDER });
    same([answer.code, answer.outTradeNo], ['10000', reference]);
  });
  await check(`${mode}: a trade that nobody opened does not exist`, async () => {
    const answer = await call('query', { out_trade_no: reference });
    same(answer.subCode, 'ACQ.TRADE_NOT_EXIST');
  });
  await check(`${mode}: the notification verifies, an altered one does not`, async () => {
    await sandbox.do('pay', { provider: 'alipay', reference });
    const told = form(await receiver.next((each) => form(each).out_trade_no === reference));
    same([told.trade_status, told.total_amount], ['TRADE_SUCCESS', '88.88']);
    holds(sdk.checkNotifySignV2(told), 'the notification verifies');
    holds(!sdk.checkNotifySignV2({ ...told, total_amount: '0.01' }), 'an altered one passed');
  });
  await check(`${mode}: query tells the status and the amount`, async () => {
    const answer = await call('query', { out_trade_no: reference });
    same(answer.tradeStatus, 'TRADE_SUCCESS');
    same(answer.totalAmount, '88.88');
  });
  await check(`${mode}: an order string opens a trade on the phone`, async () => {
    const number = newReference();
    const content = { out_trade_no: number, product_code: 'QUICK_MSECURITY_PAY', ...ORDER };
    const order = sdk.sdkExecute('alipay.trade.app.pay', { bizContent: content });
    const paid = await sandbox.do('pay', { provider: 'alipay', checkout: order });
    same([paid.reference, paid.amount], [number, 8888]);
  });
  await check(`${mode}: the address of a page brings a browser to the cashier`, async () => {
    const number = newReference();
    const content = { out_trade_no: number, product_code: 'FAST_INSTANT_TRADE_PAY', ...ORDER };
    const url = sdk.pageExecute('alipay.trade.page.pay', 'GET', { bizContent: content });
    const shown = await fetch(url);
    holds(shown.url.includes(number), shown.url);
  });
  return reference;
}

async function checkRefunds(sandbox, call, reference, mode) {
  const back = (number, amount) =>
    call('refund', {
      out_trade_no: reference,
      refund_amount: amount,
      out_request_no: number,
      query_options: ['refund_detail_item_list'],
    });
  await check(`${mode}: two parts go back, a repeat moves nothing`, async () => {
    const answers = [await back('r1', '8.88'), await back('r1', '8.88'), await back('r2', '30')];
    same(answers.map((each) => each.fundChange), ['Y', 'N', 'Y']);
    const detail = answers[2].refundDetailItemList;
    same(detail.map((item) => item.amount), ['30.00']);
    same(await sandbox.refunded(reference), [888, 3000]);
  });
  await check(`${mode}: the refund query knows what was done`, async () => {
    const asked = { out_trade_no: reference, out_request_no: 'r2' };
    const answer = await call('fastpay.refund.query', asked);
    same([answer.code, answer.refundAmount], ['10000', '30.00']);
  });
  await check(`${mode}: more than was paid is refused`, async () => {
    same((await back('r3', '50.01')).code, '40004');
    same(await sandbox.refunded(reference), [888, 3000]);
  });
}

async function checkTheRest(sandbox, call, mode) {
  await check(`${mode}: an open trade closes and stays closed`, async () => {
    const content = { out_trade_no: newReference(), ...ORDER };
    await call('precreate', content);
    await sandbox.do('open', { provider: 'alipay', reference: content.out_trade_no });
    same((await call('close', { out_trade_no: content.out_trade_no })).code, '10000');
  });
  await check(`${mode}: a buyer named by open id is answered by open id`, async () => {
    const content = { out_trade_no: newReference(), buyer_open_id: '061P6NAblcWDWJoDRxSVvOYz-ufp-3wQaA4E', ...ORDER };
    holds((await call('create', content)).code === '10000');
    const answer = await call('query', { out_trade_no: content.out_trade_no });
    same(answer.buyerOpenId, '061P6NAblcWDWJoDRxSVvOYz-ufp-3wQaA4E');
  });
  await check(`${mode}: an unknown method is refused in its own node`, async () => {
    same((await call('vanish', {})).subCode, 'isv.invalid-method');
  });
  if (mode === 'content encryption') return;
  await check(`${mode}: an answer that Alipay did not sign is not believed`, async () => {
    const fault = { provider: 'alipay', operation: 'query', kind: 'bad_signature' };
    await sandbox.do('faults', fault);
    await fails(() => call('query', { out_trade_no: 'x' }));
  });
}

/** A call of OpenAPI v3, whose answer the SDK always verifies; returns its content. */
function callerV3(sdk, needEncrypt) {
  return async (verb, body) => {
    const path = `/v3/alipay/trade/${verb.replaceAll('.', '/')}`;
    return (await sdk.curl('POST', path, { body, needEncrypt })).data;
  };
}

async function checkV3(sandbox, call, receiver, mode) {
  const refused = async (status, code, action) => {
    const error = await fails(action);
    same([error.responseHttpStatus, error.code], [status, code]);
    holds(error.traceId, 'a trace id');
  };
  // A code on a payer's screen pays one order only.
  const till = () => ({
    scene: 'bar_code',
    auth_code: `28${String(randomInt(1e12)).padStart(12, '0')}8888`,
    ...ORDER,
  });
  await check(`${mode}: precreate, pay, notification and query agree`, async () => {
    const names = { out_trade_no: newReference() };
    await call('precreate', { ...names, ...ORDER, notify_url: receiver.url });
    await refused(400, 'ACQ.TRADE_NOT_EXIST', () => call('query', names));
    await sandbox.do('pay', { provider: 'alipay', reference: names.out_trade_no });
    const told = form(
      await receiver.next((each) => form(each).out_trade_no === names.out_trade_no),
    );
    same(told.trade_status, 'TRADE_SUCCESS');
    const answer = await call('query', names);
    same([answer.trade_status, answer.total_amount], ['TRADE_SUCCESS', '88.88']);
  });
  await check(`${mode}: two partial refunds move money once each`, async () => {
    const names = { out_trade_no: newReference() };
    same((await call('pay', { ...names, ...till() })).total_amount, '88.88');
    const back = (number, amount) =>
      call('refund', { ...names, refund_amount: amount, out_request_no: number });
    const answers = [await back('r1', '8.88'), await back('r1', '8.88'), await back('r2', '30')];
    same(answers.map((each) => each.fund_change), ['Y', 'N', 'Y']);
    await refused(400, 'ACQ.REASON_TRADE_REFUND_FEE_ERR', () => back('r3', '50.01'));
    const asked = { ...names, out_request_no: 'r2' };
    same((await call('fastpay.refund.query', asked)).refund_amount, '30.00');
    same(await sandbox.refunded(names.out_trade_no), [888, 3000]);
  });
  await check(`${mode}: an open trade closes, a paid one is cancelled`, async () => {
    const open = { out_trade_no: newReference() };
    await call('create', { ...open, ...ORDER, buyer_id: '2088622987654321' });
    await call('close', open);
    same((await call('query', open)).trade_status, 'TRADE_CLOSED');
    const paid = { out_trade_no: newReference() };
    await call('pay', { ...paid, ...till() });
    same((await call('cancel', paid)).action, 'refund');
    same(await sandbox.refunded(paid.out_trade_no), [8888]);
  });
  await check(`${mode}: an answer with a wrong signature is refused by the SDK`, async () => {
    const names = { out_trade_no: newReference() };
    const fault = { provider: 'alipay', operation: 'create', kind: 'bad_signature' };
    await sandbox.do('faults', fault);
    const error = await fails(() => call('pay', { ...names, ...till() }));
    same(error.code, 'response-signature-verify-error');
    same((await call('query', names)).trade_status, 'TRADE_SUCCESS');
  });
  await check(`${mode}: an unknown address is not found`, () =>
    refused(404, 'invalid-method', () => call('vanish', {})),
  );
}

const sandbox = new Sandbox(process.argv[2]);
const receiver = await new Receiver().listen(200, 'success');
for (const [app, mode, needEncrypt] of [
  ['main', 'public key', false],
  ['cert', 'certificates', false],
  ['old', 'the old signature', false],
  ['aes', 'content encryption', true],
  ['aes', 'the same application without encryption', false],
]) {
  const sdk = client(sandbox, app);
  const call = caller(sdk, receiver, needEncrypt);
  const reference = await checkPaying(sandbox, sdk, call, receiver, mode);
  await checkRefunds(sandbox, call, reference, mode);
  await checkTheRest(sandbox, call, mode);
}
for (const [app, mode, needEncrypt] of [
  ['main', 'OpenAPI v3, public key', false],
  ['cert', 'OpenAPI v3, certificates', false],
  ['aes', 'OpenAPI v3, content encryption', true],
]) {
  await checkV3(sandbox, callerV3(client(sandbox, app), needEncrypt), receiver, mode);
}
await check('known fault of this SDK: it cannot verify an encrypted answer', async () => {
  const call = caller(client(sandbox, 'aes'), receiver, true, true);
  const error = await fails(() => call('query', { out_trade_no: 'x' }));
  holds(String(error).includes('验签失败'), String(error));
});
await check('another application’s key is refused', async () => {
  const other = sandbox.manifest.alipay.apps.aes;
  const forger = client(sandbox, 'main', { privateKey: read(other.app_private_key_file) });
  const answer = await caller(forger, receiver, false)('query', { out_trade_no: 'x' });
  same(answer.subCode, 'isv.invalid-signature');
  const error = await fails(() => callerV3(forger, false)('query', { out_trade_no: 'x' }));
  same(error.code, 'invalid-signature');
});
receiver.close();
