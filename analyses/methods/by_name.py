"""The methods by name, which the package's own file fills and users add to."""

from ..experiment import Method

METHODS: dict[str, Method] = {}
