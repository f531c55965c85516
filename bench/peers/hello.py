"""What `scripts/hello` does, as a typed script in Python: a component of its world, made with componentize-py."""

import wit_world
from componentize_py_types import Err


class WitWorld(wit_world.WitWorld):
    def main(self, name, times):
        times = 1 if times is None else times
        if times > 100:
            raise Err(f"{times} times is too often; 100 is the most")
        return wit_world.Greeting(" ".join([f"Hello {name}!"] * times), times)
