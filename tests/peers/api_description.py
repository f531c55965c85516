"""Makes requests out of the API's own description with schemathesis, and holds the answers against it."""

import os
import tempfile

from schemathesis.cli import schemathesis

# A status, a type or a shape of body that is not described; an answer of 500; a method that is not described and works.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method"

url, token = os.environ["BASE_INTERNAL_URL"], os.environ["WM_TOKEN"]
with tempfile.TemporaryDirectory() as folder:
    # It keeps notes where it runs.
    os.chdir(folder)
    with open("schemathesis.toml", "w") as settings:
        settings.write('[parameters]\n"path.workspace" = "main"\n')
    options = ["--phases", "coverage", "--checks", CHECKS, "--request-timeout", "20", "--seed", "1", "--no-color"]
    # Streams end when they want to.
    options += ["--exclude-path-regex", "_sse|run_and_stream"]
    schemathesis(["run", f"{url}/api/openapi.json", "-H", f"Authorization: Bearer {token}", *options])
