"""Workbooks: one sheet, the values that its cells store, and no more than their rows."""

import io
import zipfile

import pytest

from tuneoff.errors import DataError

TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/></Types>'
)
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def make_cell(value):
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t xml:space="preserve">{value}</t></is></c>'
    return f"<c><v>{value}</v></c>"


def make_workbook(**sheets):
    """A workbook of Excel with the rows of each sheet."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", TYPES)
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{RELATIONS}"><Relationship Id="r1" Type="{OFFICE}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        names = "".join(f'<sheet name="{name}" sheetId="{i}" r:id="r{i}"/>' for i, name in enumerate(sheets, start=1))
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{names}</sheets></workbook>'
        )
        links = "".join(
            f'<Relationship Id="r{i}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{i}.xml"/>'
            for i in range(1, len(sheets) + 1)
        )
        archive.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{RELATIONS}">{links}</Relationships>')
        for i, rows in enumerate(sheets.values(), start=1):
            cells = "".join(f"<row>{''.join(map(make_cell, row))}</row>" for row in rows)
            archive.writestr(
                f"xl/worksheets/sheet{i}.xml", f'<worksheet xmlns="{MAIN}"><sheetData>{cells}</sheetData></worksheet>'
            )
    return file.getvalue()


HEADER = ["source", "target"]


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv", "a"])
def test_a_workbook_is_read_whatever_its_name(read_dicts, name):
    assert read_dicts(name, make_workbook(one=[HEADER, ["a", "b"]])) == [{"source": "a", "target": "b"}]


@pytest.mark.parametrize(("cell", "value"), [("007", "007"), (7, 7), (0.5, 0.5), (True, True), (None, None)])
def test_a_cell_has_the_value_that_is_stored(read_dicts, cell, value):
    assert read_dicts("a.xlsx", make_workbook(one=[HEADER, ["a", cell]]))[0]["target"] == value


def test_the_one_sheet_with_rows_is_read(read_dicts):
    assert read_dicts("a.xlsx", make_workbook(notes=[["read me"]], rows=[HEADER, ["a", "b"]]))[0]["source"] == "a"


def test_several_sheets_with_rows_are_refused_until_one_is_named(read_dicts):
    content = make_workbook(old=[HEADER, ["a", "b"]], new=[HEADER, ["c", "d"]])
    with pytest.raises(DataError, match=r"rows in the sheets 'old', 'new'\. Name one: data\.records: 'old'"):
        read_dicts("a.xlsx", content)
    assert read_dicts("a.xlsx", content, records="new")[0]["source"] == "c"


def test_an_unknown_sheet_is_refused(read_dicts):
    with pytest.raises(DataError, match=r"no sheet 'rows' of data\.records\..* Available: one"):
        read_dicts("a.xlsx", make_workbook(one=[HEADER, ["a", "b"]]), records="rows")


def test_a_name_that_stands_twice_is_refused(read_dicts):
    with pytest.raises(DataError, match=r"sheet 'one' has two columns 'a'"):
        read_dicts("a.xlsx", make_workbook(one=[["a", "a"], ["b", "c"]]))


def test_a_value_without_a_column_is_refused(read_dicts):
    with pytest.raises(DataError, match="row 2: a cell outside the columns"):
        read_dicts("a.xlsx", make_workbook(one=[["source", None], ["b", "c"]]))
