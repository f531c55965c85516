// Runs, follows, lists and cancels jobs by the services that `windmill-client` has for every operation of the API.

import assert from "node:assert/strict";
import { JobService } from "windmill-client";
import { ann, completed, hash, path, requestBody, scripts, sleepy, status, workspace } from "./services.mjs";

// Synchronous calls.
assert.deepEqual(await JobService.runWaitResultScriptByPath({ workspace, path, requestBody }), ann);
const payload = Buffer.from(JSON.stringify(requestBody)).toString("base64");
assert.deepEqual(await JobService.runWaitResultScriptByPathGet({ workspace, path, payload }), ann);
assert.equal(await status(JobService.runWaitResultScriptByPath({ workspace, path: `${scripts}/nobody`, requestBody })), 404);
assert.equal(await status(JobService.runWaitResultScriptByPathGet({ workspace, path, payload: "!" })), 400);

// Jobs.
const id = await completed(await JobService.runScriptByPath({ workspace, path, requestBody }));
const by_hash = await completed(await JobService.runScriptByHash({ workspace, hash, requestBody }));
const chosen = crypto.randomUUID();
assert.equal(await JobService.runScriptByPath({ workspace, path, requestBody, jobId: chosen, tag: "other" }), chosen);
assert.equal(await status(JobService.runScriptByPath({ workspace, path, requestBody, jobId: chosen })), 400);
const job = await JobService.getJob({ workspace, id, noLogs: true });
assert.deepEqual([job.type, job.id, job.script_path, job.script_hash, job.success], ["CompletedJob", id, path, hash, true]);
assert.deepEqual([job.job_kind, job.created_by, job.permissioned_as], ["script", "admin", "u/admin"]);
assert.ok(Date.parse(job.created_at) && Date.parse(job.started_at) && job.duration_ms >= 0, JSON.stringify(job));
assert.equal((await JobService.getCompletedJob({ workspace, id })).type, "CompletedJob");
assert.deepEqual(await JobService.getCompletedJobResult({ workspace, id: by_hash }), ann);
assert.match(await JobService.getJobLogs({ workspace, id }), /greeting Ann/);
assert.deepEqual(await JobService.getJobArgs({ workspace, id }), requestBody);
const update = await JobService.getJobUpdates({ workspace, id, logOffset: 0, running: true });
assert.ok(update.completed && update.new_logs.includes("greeting Ann") && update.log_offset > 0, JSON.stringify(update));
assert.equal(await JobService.getRootJobId({ workspace, id }), id);
assert.equal(await status(JobService.getJob({ workspace, id: "01937f4e-0000-7000-8000-000000000000" })), 404);

// Lists, counts and cancelling.
const ids = (list) => list.map((job) => job.id);
const later = await JobService.runScriptByPath({ workspace, path, requestBody, scheduledInSecs: 3600, tag: "later" });
assert.deepEqual(ids(await JobService.listQueue({ workspace, scriptPathExact: path, tag: "later" })), [later]);
const over = await JobService.listCompletedJobs({ workspace, scriptPathExact: path, success: true, orderDesc: true });
assert.ok(ids(over).includes(id) && ids(over).includes(by_hash) && !ids(over).includes(later), ids(over).join());
assert.ok(over.every((job) => job.type === "CompletedJob" && job.success), JSON.stringify(over[0]));
const all = await JobService.listJobs({ workspace, scriptPathExact: path, createdBy: "admin", jobKinds: "script" });
assert.deepEqual(ids(all).slice(0, 2), [later, chosen], "newest first");
assert.deepEqual(ids(await JobService.listJobs({ workspace, scriptHash: hash, perPage: 1 })), [later]);
assert.ok((await JobService.getQueueCount({ workspace })).database_length >= 1);
assert.ok((await JobService.getCompletedCount({ workspace })).database_length >= 2);
assert.equal(await JobService.cancelQueuedJob({ workspace, id: later, requestBody: { reason: "no" } }), later);
const cancelled = await JobService.getJob({ workspace, id: later });
assert.deepEqual([cancelled.canceled, cancelled.canceled_reason, cancelled.canceled_by], [true, "no", "admin"]);
const sleeping = await JobService.runScriptByPath({ workspace, path: sleepy, requestBody: { op: "sleep" } });
assert.deepEqual(await JobService.cancelSelection({ workspace, requestBody: [sleeping, id] }), [sleeping]);
await completed(sleeping);
const forced = await JobService.runScriptByPath({ workspace, path: sleepy, requestBody: { op: "sleep" } });
assert.equal(await JobService.forceCancelQueuedJob({ workspace, id: forced, requestBody: {} }), forced);
await completed(forced);

// When, and what is left of it.
const timing = await JobService.getCompletedJobTiming({ workspace, id });
assert.deepEqual([timing.created_at, timing.started_at, timing.duration_ms], [job.created_at, job.started_at, job.duration_ms]);
assert.match(await JobService.getCompletedJobLogsTail({ workspace, id }), /greeting Ann/);
const waits = await JobService.runScriptByPath({ workspace, path, requestBody, scheduledInSecs: 3600 });
const scheduledFor = await JobService.getScheduledFor({ workspace, id: waits });
assert.ok(Math.abs(scheduledFor - Date.now() - 3600_000) < 60_000, scheduledFor);
assert.ok((await JobService.getQueuePosition({ workspace, scheduledFor: scheduledFor + 1 })).position >= 1);
const [started, nothing] = await JobService.getStartedAtByIds({ workspace, requestBody: [id, waits] });
assert.deepEqual([Date.parse(started), nothing], [Date.parse(job.started_at), null]);
await JobService.cancelQueuedJob({ workspace, id: waits, requestBody: {} });
const erased = await JobService.deleteCompletedJob({ workspace, id: by_hash });
assert.deepEqual([erased.id, erased.deleted], [by_hash, true]);
const left = await JobService.getJob({ workspace, id: by_hash });
assert.equal([left.args, left.result, left.logs].some((part) => JSON.stringify(part ?? "").includes("Ann")), false, JSON.stringify(left));
