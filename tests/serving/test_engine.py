"""What the engine promises besides equal tokens: ends, scores, limits, arms that come and go, and faults that stay."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch

from tests.serving.answers import Answer, ask
from tests.serving.conftest import Load, Sources, answer_alone, save_trained
from tests.serving.test_equality import make_prompt
from tuneoff.errors import QueueFullError, RequestError, RunError, TooLongError, UnknownArmError
from tuneoff.models.language_model import LanguageModel
from tuneoff.serving import Engine, Request, Sampling, Token

pytestmark = pytest.mark.model

ARMS = ("base", "lora", "soft-prompt", "full")
LONG = Sampling(max_tokens=100, temperature=0)


@pytest.fixture(scope="module")
def arms(sources: Callable[[str], Sources]) -> Sources:
    return {name: sources("llama")[name] for name in ARMS}


@pytest.fixture
def engine(load_base: Load, arms: Sources) -> Iterator[Engine]:
    engine = Engine(load_base("llama"), arms, max_rows=4, max_cache_tokens=1000, max_waiting=3)
    engine._base.base.generation_config.eos_token_id = None  # no answer ends early
    engine.start()
    yield engine
    engine.stop()


def make_request(arm: str = "lora", length: int = 6, score_prompt: bool = False, **sampling: object) -> Request:
    options = {"max_tokens": 8, "temperature": 0.0, **sampling}
    return Request(
        arm=arm,
        prompt_ids=make_prompt(length, 1),
        sampling=Sampling(**options),  # type: ignore[arg-type]
        score_prompt=score_prompt,
    )


def test_the_text_of_all_events_is_that_of_the_tokens(engine: Engine) -> None:
    answer = ask(engine, make_request(max_tokens=60)).wait()
    assert answer.text == engine.tokenizer.decode(answer.tokens, skip_special_tokens=True)
    assert (answer.end.reason, answer.end.prompt_tokens, answer.end.completion_tokens) == ("length", 6, 60)


def test_a_stop_string_ends_the_text_before_it(engine: Engine) -> None:
    whole = ask(engine, make_request(max_tokens=60)).wait()
    stop = whole.text[9:12]
    answer = ask(engine, make_request(max_tokens=60, stop=(stop, "not there"))).wait()
    assert answer.text == whole.text[: whole.text.index(stop)]
    assert answer.end.reason == "stop"
    assert answer.tokens == whole.tokens[: len(answer.tokens)]
    assert answer.end.completion_tokens < 60


def test_an_end_token_ends_the_answer_and_is_not_sent(engine: Engine, arms: Sources) -> None:
    whole = ask(engine, make_request()).wait()
    engine.add_arm("ending", replace(arms["lora"], ends=(whole.tokens[3],)))
    answer = ask(engine, make_request("ending")).wait()
    first = whole.tokens.index(whole.tokens[3])
    assert answer.tokens == whole.tokens[:first]
    assert (answer.end.reason, answer.end.completion_tokens) == ("stop", first + 1)


def test_scores_are_those_of_the_model_alone(engine: Engine, load_alone: Callable[[str, str], LanguageModel]) -> None:
    for arm in ("lora", "soft-prompt"):
        answer = ask(engine, make_request(arm, score_prompt=True, logprobs=2, max_tokens=3, temperature=1.0)).wait()
        text = torch.tensor([[*answer.request.prompt_ids, *answer.tokens]])
        scored = torch.ones_like(text, dtype=torch.bool)
        scored[:, 0] = False
        with torch.no_grad():
            logprobs = load_alone("llama", arm).logits(text, torch.ones_like(scored), scored).log_softmax(-1)
        expected = logprobs.gather(1, text[0, 1:, None])[:, 0].tolist()
        tokens = [event for event in answer.events if isinstance(event, Token)]
        assert answer.prompt.logprobs[0] is None
        found = [*answer.prompt.logprobs[1:], *(token.logprob for token in tokens)]
        assert found == pytest.approx(expected, abs=1e-4)
        best = logprobs.topk(2)
        alternatives = [*answer.prompt.alternatives[1:], *(token.alternatives for token in tokens)]
        assert [[id for id, _ in of_token] for of_token in alternatives] == best.indices.tolist()


def test_without_new_tokens_only_the_prompt_is_scored(engine: Engine) -> None:
    answer = ask(engine, make_request(score_prompt=True, max_tokens=0)).wait()
    assert (answer.tokens, answer.end.reason, len(answer.prompt.logprobs)) == ((), "length", 6)


def test_a_penalty_keeps_tokens_from_coming_again(engine: Engine) -> None:
    free = ask(engine, make_request(max_tokens=40)).wait().tokens
    assert len(set(free)) < 40, "else the penalty would change nothing"
    for name in ("presence_penalty", "frequency_penalty"):
        assert len(set(ask(engine, make_request(max_tokens=40, **{name: 100.0})).wait().tokens)) == 40


def test_without_a_seed_answers_differ_and_with_one_they_do_not(engine: Engine) -> None:
    def sample(seed: int | None) -> tuple[int, ...]:
        return ask(engine, make_request(max_tokens=30, temperature=1.0, seed=seed)).wait().tokens

    assert sample(None) != sample(None)
    assert sample(7) == sample(7) != sample(8)


def test_an_unknown_arm_is_refused_with_those_that_there_are(engine: Engine) -> None:
    with pytest.raises(UnknownArmError, match="Did you mean 'lora'") as caught:
        engine.submit(make_request("lara"), Answer(make_request()))
    assert caught.value.arms == ARMS


@pytest.mark.parametrize(("length", "tokens"), [(250, 2), (6, 250), (6, 255)])
def test_what_does_not_fit_the_context_is_refused_with_counts(engine: Engine, length: int, tokens: int) -> None:
    request = make_request("soft-prompt", length=length, max_tokens=tokens)
    with pytest.raises(TooLongError, match=rf"{length} tokens of the prompt, 5 before it.*room for 256"):
        engine.submit(request, Answer(request))
    assert engine.count_room("soft-prompt", length) < tokens


def test_a_row_that_would_change_the_rotations_of_others_is_refused_with_counts(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rope = {"rope_type": "longrope", "original_max_position_embeddings": 32}
    monkeypatch.setattr(engine._base.base.config, "rope_parameters", rope)
    request = make_request("lora", length=30, max_tokens=3)
    with pytest.raises(TooLongError, match=r"30 tokens of the prompt and 3 of the answer are 33, .* room for 32"):
        engine.submit(request, Answer(request))
    assert engine.count_room("lora", 30) == 2


def test_the_room_is_what_is_accepted(engine: Engine) -> None:
    room = engine.count_room("soft-prompt", 240)
    assert ask(engine, make_request("soft-prompt", length=240, max_tokens=room)).wait().end.completion_tokens == room


def test_a_token_that_the_model_does_not_have_is_refused(engine: Engine) -> None:
    for token in (-1, 320):
        with pytest.raises(RequestError, match="0 to 319"):
            engine.submit(Request(arm="base", prompt_ids=(5, token)), Answer(make_request()))


def test_requests_beyond_the_queue_are_refused_until_there_is_room(load_base: Load, arms: Sources) -> None:
    engine = Engine(load_base("llama"), arms, max_waiting=3)  # not started, so that all wait
    answers = [ask(engine, make_request()) for _ in range(3)]
    with pytest.raises(QueueFullError, match="3 requests wait"):
        ask(engine, make_request())
    engine.start()
    assert len({answer.wait().tokens for answer in answers}) == 1
    ask(engine, make_request()).wait()
    engine.stop()


def test_no_more_rows_and_positions_are_used_than_allowed(load_base: Load, arms: Sources) -> None:
    engine = Engine(load_base("llama"), arms, max_rows=8, max_cache_tokens=100)
    answers = [ask(engine, make_request(length=length, max_tokens=14)) for length in (30, 6, 6, 6, 6, 30)]
    most = []
    watched = engine._lanes.mixed.step
    engine._lanes.mixed.step = lambda: (most.append(engine._lanes.mixed.count_positions()), watched())[1]  # type: ignore[method-assign]
    engine.start()
    assert {answer.wait().end.completion_tokens for answer in answers} == {14}
    engine.stop()
    assert 50 < max(most) <= 100
    assert max(engine.stats().widths) > 1


def test_a_cancelled_request_leaves_and_the_others_go_on(engine: Engine) -> None:
    gone, stays = ask(engine, make_request(max_tokens=200)), ask(engine, make_request("full", max_tokens=100))
    assert gone.ticket is not None
    gone.ticket.cancel()
    assert gone.wait().end.reason == "cancelled"
    assert len(gone.tokens) < 200
    assert len(stays.wait().tokens) == 100
    gone.ticket.cancel()  # too late, and harmless


def test_a_listener_that_fails_loses_only_its_own_request(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("gone")

    engine.submit(make_request(max_tokens=100), fail)
    assert len(ask(engine, make_request(max_tokens=30)).wait().tokens) == 30
    assert "A listener of a request to lora failed" in caplog.text


def test_an_arm_is_added_and_removed_while_others_are_answered(
    engine: Engine, sources: Callable[[str], Sources], load_alone: Callable[[str, str], LanguageModel]
) -> None:
    long = ask(engine, make_request("lora", max_tokens=150))
    info = engine.add_arm("new", sources("llama")["dora"])
    assert (info.method, info.mixes) == ("dora", True)
    assert info.bytes > 0
    added = ask(engine, make_request("new"))
    engine.remove_arm("new")  # what was accepted is answered
    alone = answer_alone(load_alone("llama", "dora"), added.request)
    assert added.wait().tokens[: len(alone)] == alone
    with pytest.raises(UnknownArmError):
        ask(engine, make_request("new"))
    assert long.wait().tokens == ask(engine, make_request("lora", max_tokens=150)).wait().tokens


def test_another_arm_of_the_same_name_takes_the_place_of_a_removed_one(
    engine: Engine, sources: Callable[[str], Sources], load_alone: Callable[[str, str], LanguageModel]
) -> None:
    engine.remove_arm("lora")
    engine.add_arm("lora", sources("llama")["ia3"])
    answer = ask(engine, make_request("lora")).wait()
    assert answer.tokens == answer_alone(load_alone("llama", "ia3"), answer.request)


def test_removed_arms_leave_the_base_model_as_it_was(engine: Engine) -> None:
    for name in ("lora", "soft-prompt", "full"):
        engine.remove_arm(name)
    ask(engine, make_request("base")).wait()
    network = engine._lanes.mixed.model.base
    assert not [name for name, module in network.named_modules() if "forward" in vars(module)]


def test_a_name_is_given_once(engine: Engine, arms: Sources) -> None:
    with pytest.raises(RunError, match="'lora' is served already"):
        engine.add_arm("lora", arms["lora"])


def test_an_arm_of_another_base_model_is_refused(
    load_base: Load, load_tiny: Load, arms: Sources, tmp_path: object
) -> None:
    engine = Engine(load_base("llama"), fingerprint="ours")
    with pytest.raises(RunError, match=r"another base model.*theirs.*ours"):
        engine.add_arm("lora", replace(arms["lora"], fingerprint="theirs"))


def test_an_adapter_of_another_shape_is_refused(engine: Engine, sources: Callable[[str], Sources]) -> None:
    for name in ("last-blocks", "layer-norm", "prefix"):
        with pytest.raises(RunError, match="must be trained from the base model"):
            engine.add_arm("gpt2", sources("gpt2")[name])


def test_memory_that_runs_out_fails_what_is_read_and_nothing_else(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = ask(engine, make_request("base", max_tokens=100))
    while not long.tokens:
        threading.Event().wait(0.001)
    read = engine._lanes.mixed.read_group
    monkeypatch.setattr(engine._lanes.mixed, "read_group", lambda rows: 1 / 0)
    lost = ask(engine, make_request())
    assert isinstance(lost.wait().error, ZeroDivisionError)
    monkeypatch.setattr(engine._lanes.mixed, "read_group", read)
    assert len(long.wait().tokens) == 100
    assert len(ask(engine, make_request()).wait().tokens) == 8


def test_a_failed_step_fails_its_rows_and_the_engine_goes_on(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = engine._lanes.mixed.compute_next
    monkeypatch.setattr(engine._lanes.mixed, "compute_next", lambda: 1 / 0)
    assert isinstance(ask(engine, make_request()).wait().error, ZeroDivisionError)
    monkeypatch.setattr(engine._lanes.mixed, "compute_next", compute)
    assert len(ask(engine, make_request()).wait().tokens) == 8


def test_an_arm_whose_logits_are_no_numbers_fails_alone(engine: Engine, arms: Sources) -> None:
    broken = engine._arms["lora"]
    assert broken.loaded.changes is not None
    next(iter(broken.loaded.changes.modules.values())).up_OR.fill_(torch.nan)  # type: ignore[attr-defined]
    lost, fine = ask(engine, make_request("lora")), ask(engine, make_request("base"))
    assert "not numbers" in str(lost.wait().error)
    assert len(fine.wait().tokens) == 8


def test_a_stopping_engine_finishes_what_it_may_and_takes_nothing(load_base: Load, arms: Sources) -> None:
    engine = Engine(load_base("llama"), arms)
    engine.start()
    answer = ask(engine, make_request(max_tokens=60))
    engine.stop(drain_seconds=60)
    assert answer.wait().end.completion_tokens == 60
    with pytest.raises(RequestError, match="stops"):
        ask(engine, make_request())


def test_a_stop_without_time_cancels(load_base: Load, arms: Sources) -> None:
    engine = Engine(load_base("llama"), arms, max_rows=1)
    engine.start()
    answers = [ask(engine, make_request(max_tokens=200)) for _ in range(3)]
    engine.stop()
    assert {answer.wait().end.reason for answer in answers} == {"cancelled"}


def test_the_counts_add_up(engine: Engine) -> None:
    for answer in [ask(engine, make_request(arm)) for arm in ("base", "lora", "lora")]:
        answer.wait()
    engine.stop(drain_seconds=10)
    stats = engine.stats()
    assert (stats.requests, stats.tokens_by_arm) == ({"base": 1, "lora": 2}, {"base": 8, "lora": 16})
    assert (stats.rows, stats.waiting, stats.tokens_out, stats.cache_tokens) == (0, 0, 24, 0)
    assert sum(width * count for width, count in stats.widths.items()) == 24 - 3  # three come from reading the prompts
    assert set(stats.mixed) <= {1, 2}


def test_the_self_test_finds_an_arm_that_is_not_applied(engine: Engine) -> None:
    arm = engine._arms["lora"]
    assert arm.loaded.changes is not None
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(
            type(next(iter(arm.loaded.changes.modules.values()))), "change_outputs", lambda _, __, out: out
        )
        with pytest.raises(RunError, match="differ from those of the model alone: lora by"):
            engine.check()
    assert engine.check()["lora"].agrees


def test_a_method_that_changes_the_base_models_weights_is_refused(
    load_base: Load, load_tiny: Load, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save_trained(load_tiny("llama"), "layer-norm", tmp_path_factory.mktemp("norms"))
    monkeypatch.setattr(
        "tuneoff.methods.layer_norm.set_data", lambda parameter, tensor: parameter.detach().copy_(tensor)
    )
    with pytest.raises(RunError, match="changes the weights of the base model in place"):
        Engine(load_base("llama"), {"norms": source})
