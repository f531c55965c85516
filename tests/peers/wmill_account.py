"""Asks with `wmill`, the Python client, who one is and where, and makes tokens."""

import datetime
import logging
import os

import wmill

logging.disable()
client = wmill.Windmill()
HELLO = f"{os.environ['SCRIPTS']}/hello"

assert client.version.startswith("wasmill v"), client.version
assert wmill.get_version() == client.version
assert wmill.get_workspace() == client.workspace == os.environ["WM_WORKSPACE"]
me = client.whoami()
assert (me["email"], me["super_admin"]) == ("admin@localhost", True), me
assert client.user == wmill.whoami() == me
assert client.username_to_email("admin") == wmill.username_to_email("admin") == "admin@localhost"

# A token like the one it was made with, and one that is over before it begins.
another = wmill.Windmill(token=client.create_token())
assert another.whoami() == me
assert another.run_script_by_path(HELLO, args={"name": "Ann"}) == {"greeting": "Hello Ann!", "times": 1}
over = wmill.Windmill(token=client.create_token(duration=datetime.timedelta(days=-2)))
assert over.get("/users/whoami", raise_for_status=False).status_code == 401
assert wmill.Windmill(token="nonsense").get("/users/whoami", raise_for_status=False).status_code == 401
listed = [token["label"] for token in client.get("/users/tokens/list").json()]
assert any(label.startswith("refresh ") for label in listed), listed

# What a worker is asked for: how far a job is, and whether it should hurry up.
job_id = client.run_script_by_path_async(HELLO, args={"name": "Ann"})
client.wait_job(job_id, timeout=20)
assert client.worker_is_draining(job_id) is False
