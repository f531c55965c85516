// Runs scripts with `windmill-client`, the TypeScript client: by path and by hash, waiting and not, failing, cancelled.

import assert from "node:assert/strict";
import * as wmill from "windmill-client";

const { SCRIPTS: scripts, HELLO_HASH: helloHash } = process.env;
const [hello, sleepy] = [`${scripts}/hello`, `${scripts}/sleepy`];
const workspace = process.env.WM_WORKSPACE;
const ann = { greeting: "Hello Ann!", times: 1 };
console.warn = console.info = () => {};

/** Waits until a job is what it should be. */
async function until(id, what, is) {
  for (let round = 0; round < 200; round++) {
    if (is(await wmill.JobService.getJob({ workspace, id }))) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${id} is not ${what}`);
}

// Waiting for the result, by each of the names that there are for it.
assert.deepEqual(await wmill.runScriptByPath(hello, { name: "Ann" }), ann);
assert.deepEqual(await wmill.runScriptByHash(helloHash, { name: "Ann" }, true), ann);
assert.deepEqual(await wmill.runScript(hello, null, { name: "Ann" }), ann);

// Not waiting for it.
const jobs = [
  await wmill.runScriptByPathAsync(hello, { name: "Ann" }),
  await wmill.runScriptByHashAsync(helloHash, { name: "Ann" }),
  await wmill.runScriptAsync(hello, null, { name: "Ann" }),
];
assert.equal(new Set(jobs).size, jobs.length);
for (const id of jobs) {
  assert.deepEqual(await wmill.waitJob(id), ann);
  assert.deepEqual(await wmill.default.getResult(id), ann);
  assert.deepEqual(await wmill.default.getResultMaybe(id), { completed: true, result: ann, success: true, started: true });
  assert.equal(await wmill.getRootJobId(id), id);
}

// The error of a script, and of a script that is not there.
await assert.rejects(wmill.runScriptByPath(hello, { name: "Ann", times: 101 }), /was not successful.*101 times is too often/);
await assert.rejects(wmill.runScriptByHash("0".repeat(64), {}));

// Cancelling a job that waits, and one that runs.
const waiting = await wmill.runScriptByPathAsync(hello, { name: "Ann" }, 3600);
assert.equal((await wmill.default.getResultMaybe(waiting)).completed, false);
assert.equal(await wmill.cancelJob(waiting, "changed my mind"), waiting);
await assert.rejects(wmill.waitJob(waiting), /changed my mind/);
assert.match(await wmill.cancelJob(waiting), /already completed/);
const running = await wmill.runScriptByPathAsync(sleepy, { op: "sleep" });
await until(running, "running", (job) => job.type === "QueuedJob" && job.running);
await wmill.cancelJob(running);
await assert.rejects(wmill.waitJob(running), /Canceled.*cancelled via cancelJob method/);

// A job that another one starts is part of it.
process.env.WM_JOB_ID = process.env.WM_ROOT_FLOW_JOB_ID = jobs[0];
const part = await wmill.runScriptByPathAsync(hello, { name: "Ann" });
assert.deepEqual(await wmill.waitJob(part), ann);
assert.equal((await wmill.JobService.getJob({ workspace, id: part })).parent_job, jobs[0]);
assert.equal(await wmill.getRootJobId(part), jobs[0]);
