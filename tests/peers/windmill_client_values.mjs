// Reads and writes variables, resources and state with `windmill-client`, the TypeScript client.

import assert from "node:assert/strict";
import * as wmill from "windmill-client";

const workspace = process.env.WM_WORKSPACE;
const { VariableService, ResourceService } = wmill;

// Variables: the first `set` creates, the next one changes.
const [plain, secret] = ["u/admin/ts_plain", "u/admin/ts_secret"];
await assert.rejects(wmill.getVariable(plain), /not found/);
await wmill.setVariable(plain, "one", false, "a description");
assert.equal(await wmill.getVariable(plain), "one");
await wmill.setVariable(plain, 'zwei "ä" 🦀\n');
assert.equal(await wmill.getVariable(`var://${plain}`), 'zwei "ä" 🦀\n');
await wmill.setVariable(secret, "hunter2", true);
assert.equal(await wmill.getVariable(secret), "hunter2");

// The same by the generated services.
assert.equal(await VariableService.existsVariable({ workspace, path: plain }), true);
assert.equal(await VariableService.existsVariable({ workspace, path: "u/admin/ts_none" }), false);
assert.equal((await VariableService.getVariable({ workspace, path: plain })).description, "a description");
const sealed = await VariableService.getVariable({ workspace, path: secret, decryptSecret: false });
assert.equal(sealed.is_secret, true);
assert.notEqual(sealed.value, "hunter2");
const listed = await VariableService.listVariable({ workspace, pathStart: "u/admin/ts_" });
assert.deepEqual(listed.map((variable) => variable.path).sort(), [plain, secret]);
await VariableService.updateVariable({ workspace, path: plain, requestBody: { path: "u/admin/ts_moved", value: "two" } });
assert.equal(await wmill.getVariable("u/admin/ts_moved"), "two");
await VariableService.deleteVariable({ workspace, path: "u/admin/ts_moved" });
assert.equal(await VariableService.existsVariable({ workspace, path: "u/admin/ts_moved" }), false);

// Resources: with and without what they refer to.
const database = "u/admin/ts_database";
assert.equal(await wmill.getResource(database, true), undefined);
await assert.rejects(wmill.getResource(database), /not found/);
const value = { host: "db", port: 5432, password: `$var:${secret}`, tags: ["a", { b: null }] };
await assert.rejects(wmill.setResource(value, database), /does not exist/);
await wmill.setResource(value, database, "postgresql");
assert.deepEqual(await wmill.getResource(database), { ...value, password: "hunter2" });
assert.deepEqual(await wmill.default.resolveDefaultResource(`$res:${database}`), { ...value, password: "hunter2" });
assert.deepEqual(await ResourceService.getResourceValue({ workspace, path: database }), value);
await wmill.setResource({ host: "other" }, database);
const whole = await ResourceService.getResource({ workspace, path: database });
assert.deepEqual([whole.path, whole.resource_type, whole.value], [database, "postgresql", { host: "other" }]);
const typed = await ResourceService.listResource({ workspace, resourceType: "postgresql" });
assert.ok(typed.some((resource) => resource.path === database), JSON.stringify(typed));
await ResourceService.updateResource({ workspace, path: database, requestBody: { description: "ours" } });
assert.equal((await ResourceService.getResource({ workspace, path: database })).description, "ours");
await ResourceService.deleteResource({ workspace, path: database });
assert.equal(await ResourceService.existsResource({ workspace, path: database }), false);

// State: a resource at the path that the script is told, or at another.
assert.equal(await wmill.getState(), undefined);
await wmill.setState({ seen: [1, 2] });
assert.deepEqual(await wmill.getState(), { seen: [1, 2] });
await wmill.default.setInternalState({ seen: [1, 2, 3] });
assert.deepEqual(await wmill.default.getInternalState(), { seen: [1, 2, 3] });
assert.equal(wmill.default.getStatePath(), process.env.WM_STATE_PATH_NEW);
await wmill.setState(7, "u/admin/ts_state");
assert.equal(await wmill.getState("u/admin/ts_state"), 7);
