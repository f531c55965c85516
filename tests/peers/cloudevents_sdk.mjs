// Sends events made by the JavaScript SDK of CloudEvents to a script that returns its arguments.

import assert from "node:assert/strict";
import { CloudEvent, HTTP, Mode, emitterFor, httpTransport } from "cloudevents";

const script = `/api/w/${process.env.WM_WORKSPACE}/jobs/run_wait_result/p/${process.env.SCRIPTS}/echo?include_query=op&op=echo`;
const url = process.env.BASE_INTERNAL_URL + script;
const authorization = `Bearer ${process.env.WM_TOKEN}`;

/** The arguments that the script got, and the event's attributes apart from them. */
function taken(text) {
  const { op, WEBHOOK__METADATA__: metadata, ...args } = JSON.parse(text);
  assert.equal(op, "echo", text);
  return { args, metadata };
}

async function sent({ headers, body }) {
  const answer = await fetch(url, { method: "POST", headers: { ...headers, authorization }, body });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return taken(text);
}

const plain = { id: "7", source: "/shop/cart", type: "com.example.order", time: "2026-01-31T09:00:00.000Z" };
const event = (more) => new CloudEvent({ ...plain, ...more });
const json = { datacontenttype: "application/json" };
const data = { sku: "a-1", count: 2, price: 1.5, notes: ["ä", null] };
const all = { specversion: "1.0", ...plain };

for (const mode of [HTTP.structured, HTTP.binary]) {
  // JSON data: an object's keys are the arguments, anything else is one of them. Extensions are attributes like others.
  assert.deepEqual(await sent(mode(event({ ...json, data }))), { args: data, metadata: { ...all, ...json } });
  assert.deepEqual((await sent(mode(event({ ...json, data: [1, 2] })))).args, { body: [1, 2] });
  const odd = { subject: "a b", comexampleextension: "x/y?z=1", dataschema: "https://example.com/schema" };
  assert.deepEqual((await sent(mode(event({ ...json, data, ...odd })))).metadata, { ...all, ...json, ...odd });
}

// Text, and bytes.
const text = { datacontenttype: "text/plain" };
assert.deepEqual(await sent(HTTP.structured(event({ ...text, data: "hällo" }))), { args: { body: "hällo" }, metadata: { ...all, ...text } });
assert.deepEqual(await sent(HTTP.binary(event({ ...text, data: "hällo" }))), { args: { raw_string: "hällo" }, metadata: { ...all, ...text } });
const png = { datacontenttype: "image/png" };
const bytes = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0, 0xff]);
const coded = Buffer.from(bytes).toString("base64");
const envelope = HTTP.structured(event({ ...png, data_base64: coded }));
assert.equal(JSON.parse(envelope.body).data_base64, coded, "the SDK sends bytes as data_base64");
assert.deepEqual(await sent(envelope), { args: { raw_base64: coded }, metadata: { ...all, ...png } });
assert.deepEqual((await sent(HTTP.binary(event({ ...png, data: bytes })))).args, { raw_base64: coded, content_type: "image/png" });

// Values that are not ASCII: the envelope holds them as they are.
const odd = { subject: 'Größe "M" 100%', comexampleextension: "日本 🦀" };
assert.deepEqual((await sent(HTTP.structured(event({ ...json, data, ...odd })))).metadata, { ...all, ...json, ...odd });
// This SDK leaves it to the program to percent-encode them for headers.
const escaped = { subject: "Gr%C3%B6%C3%9Fe", comexampleextension: encodeURIComponent("日本 🦀") };
const { metadata } = await sent(HTTP.binary(event({ ...json, data, ...escaped })));
assert.deepEqual([metadata.subject, metadata.comexampleextension], ["Größe", "日本 🦀"]);

// The SDK's own emitter.
for (const mode of [Mode.BINARY, Mode.STRUCTURED]) {
  const emit = emitterFor(httpTransport(url), { mode });
  const answer = await emit(event({ ...json, data }), { headers: { authorization } });
  assert.deepEqual(taken(answer.body), { args: data, metadata: { ...all, ...json } });
  assert.equal(answer.headers["x-wasmill-job-status"], "success");
  const refused = await emit(event({ ...json, data }), { headers: { authorization: "Bearer nonsense" } });
  assert.equal(JSON.parse(refused.body).status, 401);
}

// An event that a script returns is one again for the SDK.
const structured = HTTP.structured(event({ ...json, data }));
const echoed = await sent(structured);
assert.deepEqual(HTTP.toEvent({ headers: structured.headers, body: JSON.stringify({ ...echoed.metadata, data: echoed.args }) }).data, data);
