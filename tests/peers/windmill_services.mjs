// Calls the API by the services that `windmill-client` has for every operation of it: jobs, scripts, users, workspaces.

import assert from "node:assert/strict";
import {
  ApiError, HealthService, JobService, OpenAPI, ScriptService, SettingsService, UserService, WorkspaceService,
  setClient, usernameToEmail,
} from "windmill-client";

const { SCRIPTS: scripts, HELLO_HASH: hash } = process.env;
const [path, sleepy] = [`${scripts}/hello`, `${scripts}/sleepy`];
const workspace = process.env.WM_WORKSPACE;
const [requestBody, ann] = [{ name: "Ann" }, { greeting: "Hello Ann!", times: 1 }];

/** The status of a call that must be refused. */
async function status(call) {
  const error = await call.then((answer) => assert.fail(`answered ${JSON.stringify(answer)}`), (error) => error);
  assert.ok(error instanceof ApiError, error);
  assert.equal(error.body.status ?? JSON.parse(error.body).status, error.status, "the body is a problem");
  return error.status;
}

async function completed(id) {
  for (let round = 0; round < 200; round++) {
    if ((await JobService.getCompletedJobResultMaybe({ workspace, id })).completed) return id;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${id} is not completed`);
}

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

// Scripts.
const script = await ScriptService.getScriptByPath({ workspace, path });
assert.deepEqual([script.path, script.hash, script.workspace_id, script.archived], [path, hash, workspace, false]);
assert.deepEqual(script.schema.required, ["name"]);
assert.equal((await ScriptService.getScriptByHash({ workspace, hash })).path, path);
assert.equal(await ScriptService.existsScriptByPath({ workspace, path }), true);
assert.equal(await ScriptService.existsScriptByPath({ workspace, path: `${scripts}/nobody` }), false);
assert.equal(await status(ScriptService.getScriptByPath({ workspace, path: `${scripts}/nobody` })), 404);
const all_scripts = await ScriptService.listScripts({ workspace });
assert.ok(all_scripts.some((listed) => listed.path === path && listed.hash === hash), JSON.stringify(all_scripts));
assert.equal((await ScriptService.getScriptHistoryByPath({ workspace, path }))[0].script_hash, hash);
await ScriptService.archiveScriptByPath({ workspace, path: `${scripts}/echo` });
assert.equal(await status(JobService.runScriptByPath({ workspace, path: `${scripts}/echo`, requestBody })), 404);

// Users and tokens.
assert.equal((await UserService.globalWhoami()).email, "admin@localhost");
const me = await UserService.whoami({ workspace });
assert.deepEqual([me.username, me.is_admin, me.operator, me.disabled], ["admin", true, false, false]);
assert.equal(await usernameToEmail("admin"), "admin@localhost");
const label = "peers";
const expiration = new Date(Date.now() + 60_000).toISOString();
const scopes = [`jobs:run:scripts:${path}`];
const token = await UserService.createToken({ requestBody: { label, expiration, scopes, workspace_id: workspace } });
const made = (await UserService.listTokens({ excludeEphemeral: true })).find((listed) => listed.label === label);
assert.deepEqual([made.token_prefix, made.scopes], [token.slice(0, made.token_prefix.length), scopes]);
assert.equal(Date.parse(made.expiration), Date.parse(expiration));
const admins = OpenAPI.TOKEN;
setClient(token);
assert.deepEqual(await JobService.runWaitResultScriptByPath({ workspace, path, requestBody }), ann);
assert.equal(await status(JobService.runWaitResultScriptByPath({ workspace, path: sleepy, requestBody })), 403);
assert.equal(await status(JobService.listJobs({ workspace })), 403);
setClient(admins);
assert.match(await UserService.deleteToken({ tokenPrefix: made.token_prefix }), new RegExp(made.token_prefix));
setClient(token);
assert.equal(await status(UserService.globalWhoami()), 401);
setClient(admins);

// The host and its workspaces.
assert.match(await SettingsService.backendVersion(), /^wasmill v/);
assert.equal((await HealthService.getHealthStatus({})).status, "healthy");
assert.equal(await WorkspaceService.existsWorkspace({ requestBody: { id: workspace } }), true);
assert.ok((await WorkspaceService.listWorkspaces()).some((listed) => listed.id === workspace));
