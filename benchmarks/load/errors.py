"""What goes wrong in a load test, in words for whoever runs it."""


class LoadError(Exception):
    """The test could not be run as asked: a wrong option, a server that refuses or does not answer."""


class UsageError(LoadError):
    """An option that cannot be, or options that contradict each other."""
