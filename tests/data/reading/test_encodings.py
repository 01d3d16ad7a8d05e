"""Encodings are recognized, assumed with a note, or refused with the right cure."""

import codecs

import pytest

from tuneoff.errors import DataError

FRENCH = "Le café “déjà vu” coûte 5 €, c’est l’été"
HEADER = "source;target\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("text", [FRENCH, "日本語 text"])
def test_unicode_is_read_with_and_without_a_byte_order_mark(read_dicts, encoding, text):
    assert read_dicts("a.csv", f"{HEADER}{text};b\n".encode(encoding)) == [{"source": text, "target": "b"}]


def test_a_big_endian_mark_is_read(read_dicts):
    content = codecs.BOM_UTF16_BE + f"{HEADER}{FRENCH};b\n".encode("utf-16-be")
    assert read_dicts("a.csv", content)[0]["source"] == FRENCH


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (FRENCH, "cp1252"),
        ("the “quick” fox isn’t 5 €", "cp1252"),
        ("café", "cp1252"),
        ("Grüße aus München; Straße größer".replace(";", ","), "cp1252"),
        ("el niño comió ¿qué? ¡bien!", "cp1252"),
        ("Привет мир как дела, хорошо спасибо большое", "cp1251"),
        ("Привет мир как дела, хорошо спасибо большое", "koi8-r"),
        ("今日は天気がいいです、はいそうです。東京は日本の首都です", "shift_jis"),
        ("今天天气很好我们去公园,好的没问题", "gb18030"),
    ],
)
def test_another_encoding_is_found_and_the_note_names_it(read_as_train, text, encoding):
    rows = read_as_train("a.csv", f"{HEADER}{text};b\n".encode(encoding))
    assert rows.take([0])[0]["source"] == text
    assert "is not UTF-8. It was read as" in rows.notes[0]


def test_latin_1_is_never_assumed_for_curly_quotes_and_the_euro_sign(read_dicts):
    text = read_dicts("a.csv", f"{HEADER}{FRENCH};b\n".encode("cp1252"))[0]["source"]
    assert not any("\x80" <= character < "\xa0" for character in text)


def test_characters_far_into_the_file_decide_too(read_dicts):
    content = (HEADER + "plain;b\n" * 50_000 + FRENCH + ";b\n").encode("cp1252")
    assert read_dicts("a.csv", content)[-1]["source"] == FRENCH


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("příliš žluťoučký kůň", "iso8859_2"), ("Türkiye'de güneşli bir gün, çok güzel, ağaç ışık", "cp1254")],
)
def test_an_encoding_that_is_not_certain_is_refused(read_dicts, text, encoding):
    with pytest.raises(DataError, match=r"fit about as well\. Name its encoding, for example data\.encoding: cp125"):
        read_dicts("a.csv", f"{HEADER}{text};b\n".encode(encoding))


def test_the_recipe_names_the_encoding(read_dicts):
    text = "Zażółć gęślą jaźń"
    assert read_dicts("a.csv", f"{HEADER}{text};b\n".encode("iso8859_2"), encoding="iso8859_2")[0]["source"] == text


def test_a_line_that_is_not_in_the_named_encoding_is_refused(read_dicts):
    with pytest.raises(DataError, match=r"a\.csv, line 3: not utf-8\. .*data\.encoding: NAME"):
        read_dicts("a.csv", HEADER.encode() + b"a;b\ncaf\xe9;b\n", encoding="utf-8")


def test_an_unknown_encoding_is_refused(read_dicts):
    with pytest.raises(DataError, match=r"data\.encoding: 'klingon' is not known"):
        read_dicts("a.csv", HEADER + "a;b\n", encoding="klingon")


def test_damaged_utf_8_is_not_taken_for_another_encoding(read_dicts):
    content = f"{HEADER}{FRENCH};b\n".encode() + b"caf\xe9;b\n"
    with pytest.raises(DataError, match=r"is not UTF-8 \(line 3, byte \d+\), but nearly all of it is"):
        read_dicts("a.csv", content)
