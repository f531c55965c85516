"""What the programs that use `wmill` have in common."""


def raised(call, *args, **kwargs):
    """The error of a call that must raise one."""
    try:
        result = call(*args, **kwargs)
    except Exception as error:
        return error
    raise AssertionError(f"{call.__name__} raised nothing and returned {result!r}")
