"""The import graph sees what it is asked for: relative imports, those for types alone, and circles."""

from tests.import_graph import cycles, imports, modules, rooms


def test_circles_are_found_and_a_chain_is_none() -> None:
    chain = {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset[str]()}
    assert cycles(chain) == []
    assert cycles(chain | {"c": frozenset("a"), "d": frozenset("a")}) == [("a", "b", "c")]


def test_modules_and_their_relative_imports_are_known_by_their_dotted_names() -> None:
    graph = imports()
    assert graph.keys() == modules().keys()
    assert {"analyses.trial", "w2s_probes.errors"} <= graph["analyses.protocol"]
    assert "extract.tasks" in graph["analyses.experiment.splits"]  # another package's face
    assert "analyses.results.names" in graph["analyses.report.load.folder"]  # three folders up


def test_imports_inside_functions_count_and_those_for_types_alone_where_they_are_asked_for() -> None:
    everything, loaded = imports(), imports(type_checking=False)
    assert "analyses.protocol" in loaded["w2s_probes.cli.commands.run"]  # inside a function
    assert "w2s_probes.probes.knn" in everything["w2s_probes.probes"] - loaded["w2s_probes.probes"]
    assert all(loaded[name] <= everything[name] for name in everything)


def test_a_room_imports_what_its_modules_import() -> None:
    graph = rooms(imports())
    assert "analyses.experiment" in graph["analyses.results"]
    assert "analyses.results" not in graph["analyses.results"]
