// Looks after tokens, users and workspaces by the services that `windmill-client` has for every operation of the API.

import assert from "node:assert/strict";
import {
  HealthService, JobService, OpenAPI, ScriptService, SettingsService, TokenService, UserService, WorkspaceService,
  setClient, usernameToEmail,
} from "windmill-client";
import { ann, path, requestBody, sleepy, status, workspace } from "./services.mjs";

// Users and tokens.
assert.equal((await UserService.globalWhoami()).email, "admin@localhost");
const me = await UserService.whoami({ workspace });
assert.deepEqual([me.username, me.is_admin, me.operator, me.disabled], ["admin", true, false, false]);
assert.equal(await usernameToEmail("admin"), "admin@localhost");
assert.equal(await UserService.getCurrentEmail(), "admin@localhost");
const label = "peers";
const expiration = new Date(Date.now() + 60_000).toISOString();
const scopes = [`jobs:run:scripts:${path}`];
const token = await UserService.createToken({ requestBody: { label, expiration, scopes, workspace_id: workspace } });
const made = (await UserService.listTokens({ excludeEphemeral: true })).find((listed) => listed.label === label);
assert.deepEqual([made.token_prefix, made.scopes], [token.slice(0, made.token_prefix.length), scopes]);
assert.equal(Date.parse(made.expiration), Date.parse(expiration));
const its = await ScriptService.listTokensOfScript({ workspace, path });
assert.ok(its.some((listed) => listed.token_prefix === made.token_prefix), JSON.stringify(its));
await UserService.updateTokenLabel({ tokenPrefix: made.token_prefix, requestBody: { label: "renamed" } });
assert.ok((await UserService.listTokens({})).some((listed) => listed.label === "renamed"));
assert.ok((await TokenService.listAvailableScopes()).length > 3);
const admins = OpenAPI.TOKEN;
setClient(token);
assert.deepEqual(await JobService.runWaitResultScriptByPath({ workspace, path, requestBody }), ann);
assert.equal(await status(JobService.runWaitResultScriptByPath({ workspace, path: sleepy, requestBody })), 403);
assert.equal(await status(JobService.listJobs({ workspace })), 403);
setClient(admins);
await UserService.updateTokenScopes({ tokenPrefix: made.token_prefix, requestBody: { scopes: [`jobs:run:scripts:${sleepy}`] } });
setClient(token);
assert.equal(await status(JobService.runWaitResultScriptByPath({ workspace, path, requestBody })), 403);
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
assert.equal(await SettingsService.backendUptodate(), "yes");

// Workspaces and their members.
const own = `ws${Date.now()}`;
await WorkspaceService.createWorkspace({ requestBody: { id: own, name: "Own" } });
assert.equal(await WorkspaceService.existsWorkspace({ requestBody: { id: own } }), true);
assert.equal(await WorkspaceService.existsWorkspace({ requestBody: { id: `${own}x` } }), false);
const mine = await WorkspaceService.listUserWorkspaces();
assert.equal(mine.email, "admin@localhost");
assert.ok(mine.workspaces.some((listed) => listed.id === own && listed.name === "Own"), JSON.stringify(mine));
const [username, email] = ["bo", "bo@example.com"];
await WorkspaceService.addUser({ workspace: own, requestBody: { email, username, is_admin: false, operator: true } });
assert.equal(await WorkspaceService.existsUsername({ requestBody: { id: own, username } }), true);
const bo = await UserService.getUser({ workspace: own, username });
assert.deepEqual([bo.username, bo.email, bo.is_admin, bo.operator], [username, email, false, true]);
await UserService.updateUser({ workspace: own, username, requestBody: { is_admin: true, operator: false } });
const members = await UserService.listUsers({ workspace: own });
assert.deepEqual(members.map((member) => [member.username, member.is_admin]).sort(), [["admin", true], [username, true]]);
setClient(await UserService.createTokenImpersonate({ requestBody: { impersonate_email: email, label: "as bo" } }));
assert.equal((await UserService.whoami({ workspace: own })).username, username);
assert.equal(await status(UserService.whoami({ workspace })), 403);
setClient(admins);
await UserService.deleteUser({ workspace: own, username });
assert.equal(await status(UserService.getUser({ workspace: own, username })), 404);
