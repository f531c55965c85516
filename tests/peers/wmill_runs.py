"""Runs scripts with `wmill`, the Python client: by path and by hash, waiting and not, failing, cancelled, scheduled."""

import datetime
import logging
import os
import time

import wmill
from raising import raised

logging.disable()
client = wmill.Windmill()
SCRIPTS, HELLO_HASH = os.environ["SCRIPTS"], os.environ["HELLO_HASH"]
HELLO, SLEEPY = f"{SCRIPTS}/hello", f"{SCRIPTS}/sleepy"
ANN = {"greeting": "Hello Ann!", "times": 1}


def until(job_id, status):
    """Waits until a job has a status."""
    for _ in range(200):
        if client.get_job_status(job_id) == status:
            return
        time.sleep(0.05)
    raise AssertionError(f"{job_id} is not {status}: {client.get_job(job_id)}")


# Waiting for the result, by each of the names that there are for it.
for result in [
    client.run_script_by_path(HELLO, args={"name": "Ann"}, timeout=20, assert_result_is_not_none=True),
    client.run_script_by_hash(HELLO_HASH, args={"name": "Ann"}, timeout=datetime.timedelta(seconds=20)),
    client.run_script(path=HELLO, args={"name": "Ann"}, verbose=True, cleanup=False),
    wmill.run_script_sync(HELLO_HASH, args={"name": "Ann"}),
    wmill.run_script_by_path_sync(HELLO, args={"name": "Ann"}),
]:
    assert result == ANN, result

# Not waiting for it, and looking at the job afterwards.
jobs = [
    client.run_script_by_path_async(HELLO, args={"name": "Ann"}),
    client.run_script_by_hash_async(HELLO_HASH, args={"name": "Ann"}),
    client.run_script_async(path=HELLO, args={"name": "Ann"}),
    wmill.run_script_async(HELLO, args={"name": "Ann"}),
    wmill.run_script_by_path_async(HELLO, args={"name": "Ann"}),
    wmill.run_script_by_hash_async(HELLO_HASH, args={"name": "Ann"}),
]
assert len(set(jobs)) == len(jobs), jobs
for job_id in jobs:
    assert client.wait_job(job_id, timeout=20) == ANN
    assert client.get_job_status(job_id) == wmill.get_job_status(job_id) == "COMPLETED"
    assert client.get_result(job_id) == wmill.get_result(job_id) == ANN
job = wmill.get_job(jobs[0])
assert (job["type"], job["script_path"], job["args"]) == ("CompletedJob", HELLO, {"name": "Ann"}), job
assert (job["success"], job["canceled"], job["result"]) == (True, False, ANN), job
assert "greeting Ann" in job["logs"], job
assert job["created_at"] <= job["started_at"], job
assert "greeting Ann" in client.get(f"/w/{client.workspace}/jobs_u/get_logs/{jobs[0]}").text

# The error of a script, and of a script that is not there.
assert "101 times is too often" in str(raised(client.run_script_by_path, HELLO, args={"name": "Ann", "times": 101}))
assert "404" in str(raised(client.run_script_by_path, f"{SCRIPTS}/nobody", args={}))
assert "404" in str(raised(client.run_script_by_hash, "0" * 64, args={}))
assert "404" in str(raised(client.get_job, "01937f4e-0000-7000-8000-000000000000"))

# Cancelling a job that waits, and one that runs.
waiting = client.run_script_by_path_async(HELLO, args={"name": "Ann"}, scheduled_in_secs=3600)
assert client.get_job_status(waiting) == "WAITING"
assert client.cancel_job(waiting, reason="changed my mind") == waiting
assert client.get_job_status(waiting) == "COMPLETED"
assert "changed my mind" in str(raised(client.wait_job, waiting))
assert "already completed" in wmill.cancel_job(waiting)
running = client.run_script_by_path_async(SLEEPY, args={"op": "sleep"})
until(running, "RUNNING")
client.cancel_job(running)
error = raised(client.wait_job, running, timeout=20)
assert "Canceled" in str(error) and "cancelled via cancel_job method" in str(error), error
job = client.get_job(running)
assert (job["canceled"], job["success"], job["canceled_by"]) == (True, False, "admin"), job

# All that run of one's own path, except for oneself.
running = client.run_script_by_path_async(SLEEPY, args={"op": "sleep"})
until(running, "RUNNING")
assert list(client.cancel_running()) == [running]
until(running, "COMPLETED")
assert client.cancel_running() == {}

# Giving up waiting cancels the job as well.
assert isinstance(raised(client.run_script_by_path, SLEEPY, args={"op": "sleep"}, timeout=0.1), TimeoutError)
last = client.get(f"/w/{client.workspace}/jobs/list", params={"script_path_exact": SLEEPY, "per_page": 1}).json()[0]
until(last["id"], "COMPLETED")
assert client.get_job(last["id"])["canceled_reason"] == "reached timeout"

# A job that another one starts is part of it.
os.environ["WM_JOB_ID"] = os.environ["WM_ROOT_FLOW_JOB_ID"] = jobs[0]
part = client.run_script_by_path_async(HELLO, args={"name": "Ann"})
assert client.wait_job(part, timeout=20) == ANN
assert client.get_job(part)["parent_job"] == jobs[0]
assert client.get_root_job_id(part) == wmill.get_root_job_id(part) == jobs[0]
del os.environ["WM_JOB_ID"], os.environ["WM_ROOT_FLOW_JOB_ID"]
assert client.get_root_job_id(jobs[1]) == jobs[1]
