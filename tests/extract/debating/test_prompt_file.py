"""Prompts of debates: the built-in ones say what they must, and files that do not are refused."""

from pathlib import Path

import pytest

from extract.debating import Turn
from extract.debating.prompt_file import BUILT_IN, DebatePrompt
from extract.debating.protocols import PROTOCOLS, Protocol
from w2s_probes import InputError

NAMES = ("incorrect", "correct")


@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_built_in_prompts_begin_with_the_row_and_name_the_side(protocol: Protocol, chat: bool) -> None:
    prompt = DebatePrompt.read(None, protocol, chat=chat)
    side = None if protocol == "no-sides" else 1
    first = prompt.of("the {{ row }}", "A", side, (), NAMES, "Is it so?")
    later = prompt.of(
        "the {{ row }}", "A", side, (Turn("A", side, "pebbles"), Turn("B", side, "gravel")), NAMES, "Is it so?"
    )
    assert first.startswith("the {{ row }}\n\n")
    assert "Is it so?" in first
    assert later.index("pebbles") < later.index("gravel")
    assert "pebbles" not in first
    assert "\n\n\n" not in first + later
    assert first.endswith(":") is not chat
    if side is not None:
        assert first.count('"correct"') > first.count('"incorrect"')


def test_a_jinja_file_serves_every_protocol_and_a_toml_file_those_that_it_names(tmp_path: Path) -> None:
    jinja = tmp_path / "own.jinja"
    jinja.write_text("{{ text }}{% for turn in said %} {{ turn.answer }} {{ turn.text }}{% endfor %} {{ answer }}\n")
    said = (Turn("A", 1, "x"), Turn("B", 0, "y"))
    assert DebatePrompt.read(jinja, "debate", chat=True).of("t", "A", 1, said, ("n", "q")) == "t q x n y q"
    assert DebatePrompt.read(jinja, "no-sides", chat=False).of("t", "A", None, said, ("n", "q")) == "t q x n y "
    toml = tmp_path / "own.toml"
    toml.write_text(f"[plain]\ndebate = '''{jinja.read_text()}'''\n")
    assert DebatePrompt.read(toml, "debate", chat=False).of("t", "A", 1, said, ("n", "q")) == "t q x n y q"
    with pytest.raises(InputError, match=r"no prompt chat.debate, which is needed .the model has a chat template"):
        DebatePrompt.read(toml, "debate", chat=True)
    with pytest.raises(InputError, match=r"no prompt plain.consultancy, which is needed .there is no chat template"):
        DebatePrompt.read(toml, "consultancy", chat=False)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.jinja", "{{ answer }}{{ said }}", r"no {{ text }} in it"),
        ("p.jinja", "{{ text }}{% for t in said %}{{ t.text }}{% endfor %}", r"no {{ answer }} in it"),
        ("p.jinja", "{{ text }} {{ answer }}", r"no turn of {{ said }} in it"),
        ("p.jinja", "{{ text", "Jinja cannot read it"),
        ("p.jinja", "{{ text }} {{ label }}", "it cannot be applied .'label' is undefined"),
        ("p.jinja", "{{ text }} {{ turns }}", "'turns' is undefined"),
        ("p.jinja", "{{ text.__class__.mro() }}", "it cannot be applied"),
        ("p.toml", "debate = ", "not TOML"),
        ("p.toml", "[chats]\ndebate = 'x'", "'chats': did you mean 'chat'"),
        ("p.toml", "[chat]\ndebat = 'x'", "chat.debat: a prompt is text, and did you mean 'debate'"),
        ("p.toml", "[chat]\ndebate = 1", "chat.debate: a prompt is text"),
    ],
)
def test_prompts_that_could_not_work_are_refused(name: str, text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=says):
        DebatePrompt.read(tmp_path / name, "debate", chat=True)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a readable file; give TOML or Jinja"):
        DebatePrompt.read(tmp_path / "none.toml", "debate", chat=True)
    assert BUILT_IN.is_file()
