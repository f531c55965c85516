"""What `scripts/hello` does, as a program that runs once for each call. Arguments come on standard input."""

import json
import sys

arguments = json.load(sys.stdin)
times = arguments.get("times", 1)
greeting = " ".join([f"Hello {arguments['name']}!"] * times)
print(json.dumps({"greeting": greeting, "times": times}, separators=(",", ":")))
