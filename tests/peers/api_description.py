"""Makes requests out of the API's own description with schemathesis, and holds the answers against it."""

import json
import os
import tempfile
import urllib.request

import schemathesis
from schemathesis.cli import schemathesis as run

# A status, a type or a shape of body that is not described; an answer of 500; a method that is not described and works.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method"

url, token = os.environ["BASE_INTERNAL_URL"], os.environ["WM_TOKEN"]


@schemathesis.serializer("application/wasm")
def wasm(_, value):
    """A module is bytes, whatever they are."""
    return value if isinstance(value, bytes) else str(value).encode()


def call(method, address, body=None):
    """A request that must be answered with success."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/api/{address}", body, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


# Names that exist, so that what is asked for gets behind the look-up: the test has deployed the script.
path = "u/peers/described"
names = {
    "workspace": "main",
    "path": path,
    "hash": json.loads(call("GET", f"w/main/scripts/get/p/{path}"))["hash"],
    "id": call("POST", f"w/main/jobs/run/p/{path}", b'{"name": "Ann"}'),
    "username": "admin",
}
with tempfile.TemporaryDirectory() as folder:
    # It keeps notes where it runs.
    os.chdir(folder)
    with open("schemathesis.toml", "w") as settings:
        settings.write("[parameters]\n" + "".join(f'"path.{name}" = "{value}"\n' for name, value in names.items()))
    options = ["--phases", "coverage,fuzzing", "--max-examples", "3", "--checks", CHECKS]
    options += ["--request-timeout", "20", "--suppress-health-check", "all", "--seed", "1", "--no-color"]
    run(["run", f"{url}/api/openapi.json", "-H", f"Authorization: Bearer {token}", *options])
