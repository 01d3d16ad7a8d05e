"""The commands for people who begin with data."""

import pytest
import yaml

from tests.conftest import save_rows
from tuneoff.cli import main
from tuneoff.runs import RunDirectory


@pytest.fixture
def rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_rows(tmp_path / "rows.jsonl")
    return "rows.jsonl"


@pytest.fixture
def model(model_folder):
    return str(model_folder("llama"))


def test_look_shows_files_columns_and_findings(rows, capsys):
    assert main(["look", rows]) == 0
    out = capsys.readouterr().out
    assert "rows.jsonl: JSON, utf-8, 12 rows" in out
    assert "Sources: English, letters Latin" in out
    assert "Add --model NAME for lengths in tokens" in out


def test_look_with_a_model_shows_tokens_and_what_is_scored(rows, capsys, model):
    assert main(["look", rows, "--model", model]) == 0
    out = capsys.readouterr().out
    assert "Longer than a limit of so many tokens" in out
    assert "<eos>" in out
    assert "Training scores the part in green." in out


def test_look_writes_a_page_that_loads_nothing_and_runs_nothing(rows, tmp_path, model):
    hostile = '{"source": "<script>alert(1)</script> the \\u001b[2J", "target": "<b>"}\n'
    (tmp_path / rows).write_text((tmp_path / rows).read_text() + hostile * 20)
    assert main(["look", rows, "--model", model, "--page", "page.html"]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "script-src &#39;none&#39;" in page
    assert "<script>" not in page.replace('<script type="application/json"', "")
    assert "\x1b" not in page
    assert "Examples as the model reads them" in page


def test_look_at_rows_that_are_no_examples_says_what_to_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4\n")
    assert main(["look", "a.csv"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "The columns are 'x' and 'y'. Name two: data.fields.source=NAME data.fields.target=NAME" in out


def test_init_writes_a_recipe_and_does_not_replace_one(rows, tmp_path, model, capsys):
    assert main(["init", rows, "--model", model]) == 0
    recipe = yaml.safe_load((tmp_path / "rows.yaml").read_text())
    assert (recipe["data"]["files"], recipe["model"]["name"]) == (rows, model)
    (tmp_path / "rows.yaml").write_text("mine")
    assert main(["init", rows, "--model", model]) == 2
    assert "rows.yaml exists already" in capsys.readouterr().err
    assert (tmp_path / "rows.yaml").read_text() == "mine"
    assert main(["init", rows, "--model", model, "--force"]) == 0
    assert (tmp_path / "rows.yaml").read_text() != "mine"


def test_compare_runs_on_data_directly(rows, tmp_path, model):
    command = ["compare", rows, "methods=[base]", "--model", model, "data.sizes.test=3"]
    assert main(command) == 0
    (record,) = RunDirectory(tmp_path / "runs" / "rows").read_records()
    assert len(record.predictions) == 3


def test_compare_refuses_a_model_beside_a_recipe(capsys):
    assert main(["compare", "demo", "--model", "x"]) == 2
    assert "demo is a recipe. Write model.name=x instead" in capsys.readouterr().err
