import pytest

from ganvas.text import file_stem, printable


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("Überlandfahrt, 1889", "Überlandfahrt, 1889"),
        ("a\x1b[2Jb\x07", "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}"),
        ("one\r\n\ttwo\x85three\u2028four", "one two three four"),
        ("\u202egnp.exe\u2066", "\N{REPLACEMENT CHARACTER}gnp.exe\N{REPLACEMENT CHARACTER}"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        ("क\u094d\u200dष", "क\u094d\u200dष"),
        ("", ""),
    ],
)
def test_printable_text_controls_no_terminal(text: str, safe: str) -> None:
    assert printable(text) == safe


def test_printable_cuts_long_text() -> None:
    assert printable("x" * 50, 10) == "x" * 10 + "..."
    assert printable("x" * 10, 10) == "x" * 10


@pytest.mark.parametrize(
    ("parts", "stem"),
    [
        (("digits", "7"), "digits-7"),
        (("Straße am Meer", "painters"), "Straße-am-Meer-painters"),
        (("../../etc/passwd",), "etc-passwd"),
        (("..\\x",), "x"),
        ((".bashrc",), "bashrc"),
        (("a\x1b[2J\u202eb",), "a-2J-b"),
        (("con",), "con-image"),
        (("con.x",), "con-x"),
        (("LPT1",), "LPT1-image"),
        (("\udcff",), "image"),
        (("",), "image"),
        (("e\N{COMBINING ACUTE ACCENT}",), "é"),
    ],
)
def test_file_stem_is_safe_everywhere(parts: tuple[str, ...], stem: str) -> None:
    assert file_stem(*parts) == stem


def test_file_stem_is_short() -> None:
    assert len(file_stem("é" * 300).encode()) <= 96
