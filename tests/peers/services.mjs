// What the programs that call the generated services of `windmill-client` have in common.

import assert from "node:assert/strict";
import { ApiError, JobService } from "windmill-client";

export const workspace = process.env.WM_WORKSPACE;
export const { SCRIPTS: scripts, HELLO_HASH: hash } = process.env;
export const [path, sleepy, echo] = [`${scripts}/hello`, `${scripts}/sleepy`, `${scripts}/echo`];
export const [requestBody, ann] = [{ name: "Ann" }, { greeting: "Hello Ann!", times: 1 }];

/** The status of a call that must be refused, with a problem as the body. */
export async function status(call) {
  const error = await call.then((answer) => assert.fail(`answered ${JSON.stringify(answer)}`), (error) => error);
  assert.ok(error instanceof ApiError, error);
  const problem = typeof error.body === "string" ? JSON.parse(error.body) : error.body;
  assert.deepEqual([problem.status, typeof problem.detail], [error.status, "string"]);
  return error.status;
}

/** Waits until a job is over, and returns its id. */
export async function completed(id) {
  for (let round = 0; round < 200; round++) {
    if ((await JobService.getCompletedJobResultMaybe({ workspace, id })).completed) return id;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${id} is not completed`);
}
