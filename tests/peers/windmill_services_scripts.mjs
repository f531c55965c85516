// Deploys, looks up, archives and deletes scripts by the services that `windmill-client` has for every operation of the API.

import assert from "node:assert/strict";
import { JobService, OpenAPI, ScriptService } from "windmill-client";
import { ann, completed, echo, hash, path, requestBody, scripts, status, workspace } from "./services.mjs";

// Scripts.
const script = await ScriptService.getScriptByPath({ workspace, path });
assert.deepEqual([script.path, script.hash, script.workspace_id, script.archived], [path, hash, workspace, false]);
assert.deepEqual(script.schema.required, ["name"]);
assert.equal((await ScriptService.getScriptByHash({ workspace, hash })).path, path);
assert.equal(await ScriptService.existsScriptByPath({ workspace, path }), true);
assert.equal(await ScriptService.existsScriptByPath({ workspace, path: `${scripts}/nobody` }), false);
assert.equal(await status(ScriptService.getScriptByPath({ workspace, path: `${scripts}/nobody` })), 404);
const listed_scripts = await ScriptService.listScripts({ workspace });
assert.ok(listed_scripts.some((listed) => listed.path === path && listed.hash === hash), JSON.stringify(listed_scripts));
assert.equal((await ScriptService.getScriptHistoryByPath({ workspace, path }))[0].script_hash, hash);
assert.ok((await ScriptService.listScriptPaths({ workspace })).includes(path));
assert.equal((await ScriptService.getScriptLatestVersion({ workspace, path })).script_hash, hash);
assert.notEqual((await ScriptService.getScriptDeploymentStatus({ workspace, hash })).lock, null);

// A new one: its module is what another one has.
const fresh = `${scripts}/fresh`;
const wasm = Buffer.from(await (await fetch(`${OpenAPI.BASE}/w/${workspace}/scripts/raw/p/${path}`, {
  headers: { authorization: `Bearer ${OpenAPI.TOKEN}` },
})).arrayBuffer());
const described = { path: fresh, summary: "Fresh", description: "", content: wasm.toString("base64"), language: "wasm" };
const first = await ScriptService.createScript({ workspace, requestBody: described });
assert.match(first, /^[0-9a-f]{64}$/);
assert.deepEqual(await JobService.runWaitResultScriptByPath({ workspace, path: fresh, requestBody }), ann);
assert.equal((await ScriptService.getScriptByHash({ workspace, hash: first })).summary, "Fresh");
const second = await ScriptService.createScript({ workspace, requestBody: { ...described, parent_hash: first, timeout: 7 } });
assert.equal((await ScriptService.getScriptByPath({ workspace, path: fresh })).hash, second);
const versions = (await ScriptService.getScriptHistoryByPath({ workspace, path: fresh })).map((entry) => entry.script_hash);
assert.deepEqual(versions, [second, first]);
assert.equal(await status(ScriptService.createScript({ workspace, requestBody: { ...described, parent_hash: first } })), 400);

// Archived and deleted.
assert.equal((await ScriptService.archiveScriptByHash({ workspace, hash: second })).archived, true);
assert.equal(await status(JobService.runScriptByPath({ workspace, path: fresh, requestBody })), 404);
const job = await JobService.runScriptByHash({ workspace, hash: second, requestBody });
assert.deepEqual(await JobService.getCompletedJobResult({ workspace, id: await completed(job) }), ann);
await ScriptService.deleteScriptByHash({ workspace, hash: first });
assert.equal(await status(JobService.runScriptByHash({ workspace, hash: first, requestBody })), 410);
await ScriptService.archiveScriptByPath({ workspace, path: echo });
assert.equal(await status(JobService.runScriptByPath({ workspace, path: echo, requestBody })), 404);
await ScriptService.deleteScriptByPath({ workspace, path: echo });
assert.equal(await ScriptService.existsScriptByPath({ workspace, path: echo }), false);
