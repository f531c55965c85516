"""Reads and writes variables, resources and state with `wmill`, the Python client."""

import logging
import os

import wmill
from raising import raised

logging.disable()
client = wmill.Windmill()


# Variables: the first `set` creates, the next one changes.
PLAIN, SECRET = "u/admin/py_plain", "u/admin/py_secret"
assert "404" in str(raised(client.get_variable, PLAIN))
client.set_variable(PLAIN, "one")
assert client.get_variable(PLAIN) == wmill.get_variable(f"var://{PLAIN}") == "one"
wmill.set_variable(PLAIN, 'zwei "ä" 🦀\n')
assert client.get_variable(PLAIN) == 'zwei "ä" 🦀\n'
client.set_variable(SECRET, "hunter2", is_secret=True)
assert client.get_variable(SECRET) == "hunter2"
described = client.get(f"/w/{client.workspace}/variables/get/{SECRET}", params={"decrypt_secret": "false"}).json()
assert described["is_secret"] is True and described.get("value") != "hunter2", described
client.set_variable(SECRET, "hunter3")
assert client.get_variable(SECRET) == "hunter3"

# Resources: with and without what they refer to.
DATABASE = "u/admin/py_database"
assert client.get_resource(DATABASE, none_if_undefined=True) is None
assert "404" in str(raised(client.get_resource, DATABASE))
value = {"host": "db", "port": 5432, "password": f"$var:{SECRET}", "tags": ["a", {"b": None}]}
client.set_resource(value, DATABASE, resource_type="postgresql")
whole = {**value, "password": "hunter3"}
assert client.get_resource(DATABASE) == wmill.get_resource(f"$res:{DATABASE}") == whole
assert client.get_resource(DATABASE, interpolated=False) == value
client.set_resource({"$ref": 1}, DATABASE, resource_type="postgresql")
assert client.get_resource(DATABASE) == {"$ref": 1}
wmill.set_resource("u/admin/py_text", "only a text", "any")
assert client.get_resource("u/admin/py_text") == "only a text"
listed = {resource["path"]: resource for resource in client.list_resources()}
assert listed[DATABASE]["resource_type"] == "postgresql" and listed["u/admin/py_text"]["resource_type"] == "any", listed
assert [resource["path"] for resource in wmill.list_resources(resource_type="postgresql")] == [DATABASE]
assert len(client.list_resources(per_page=1)) == 1

# State: a resource at the path that the script is told, or at another.
assert client.state is None and wmill.get_state() is None
client.state = {"seen": [1, 2]}
assert client.state == wmill.get_state() == {"seen": [1, 2]}
wmill.set_state({"seen": [1, 2, 3]})
assert client.get_state() == {"seen": [1, 2, 3]}
assert wmill.get_state_path() == client.state_path == os.environ["WM_STATE_PATH_NEW"]
client.set_state(7, path="u/admin/py_state")
assert client.get_state(path="u/admin/py_state") == 7
