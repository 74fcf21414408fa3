"""The judge of chaos runs, rule by rule: what it must call broken, and what looks odd and is allowed."""

from __future__ import annotations

import pytest

from tests.chaos.model import SETTLE_SECONDS, Ages, Answer, Call, Model, Timeline
from tests.chaos.world import CLASS_OF, ClassRule, render_file

AGES = Ages(longest=2.0, max_stale=100.0)
GAMMA = CLASS_OF["gamma"]
ALPHA = CLASS_OF["alpha"]


def _read(model: Model, rule: ClassRule, at: float, numbers: dict[str, int], answer: Answer = Answer.VALUES) -> None:
    call = Call(
        identity=rule.identity,
        objects=tuple(sorted(rule.objects)),
        began=at,
        ended=at + 0.01,
        answer=answer,
        numbers=numbers,
    )
    model.note_call(call)


def _files(rule: ClassRule, numbers: dict[str, int]) -> dict[str, bytes]:
    return {path: render_file(file, numbers[file.object]) for path, file in rule.files.items()}


def _all(rule: ClassRule, number: int) -> dict[str, int]:
    return dict.fromkeys(rule.objects, number)


def _model(rule: ClassRule, number: int = 1) -> Model:
    """Return a model in which every object has had this number since second 0."""
    model = Model(AGES)
    for name in rule.objects:
        model.numbers[name].change(number, 0.0, 0.0)
    return model


def _broken(model: Model, rule: ClassRule, content: dict[str, bytes], at: float) -> list[str]:
    return [f"{item.rule} {item.text}" for item in model.check(rule, content, at, at + 0.1)]


def test_what_was_read_for_this_identity_just_now_is_fine() -> None:
    model = _model(GAMMA)
    _read(model, GAMMA, 10.0, _all(GAMMA, 1))
    assert _broken(model, GAMMA, _files(GAMMA, _all(GAMMA, 1)), 10.5) == []


def test_a_value_that_another_identity_read_is_no_excuse() -> None:
    twin, model = CLASS_OF["twin"], _model(ALPHA)
    _read(model, ALPHA, 10.0, _all(ALPHA, 1))
    found = _broken(model, twin, _files(twin, _all(twin, 1)), 10.5)
    assert len(found) == len(twin.objects)
    assert all("to whom AWS never gave it" in text for text in found)


def test_a_value_of_another_object_is_named() -> None:
    model = _model(GAMMA)
    _read(model, GAMMA, 10.0, _all(GAMMA, 1))
    content = _files(GAMMA, _all(GAMMA, 1)) | {"only": render_file(GAMMA.files["gamma.json"], 1)}
    assert _broken(model, GAMMA, content, 10.5) == ["I2 only holds chaos/gamma, which is not /chaos/gamma/only"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({}, "I3 the pod started with nothing"),
        ({"only": render_file(GAMMA.files["only"], 1)}, "I3 a part of the class: gamma.json missing"),
        (_files(GAMMA, _all(GAMMA, 1)) | {"more": b"x"}, "I2 files that the class does not have: more"),
        (_files(GAMMA, _all(GAMMA, 1)) | {"only": b"x"}, "I3 only holds no value"),
        (
            _files(GAMMA, _all(GAMMA, 1)) | {"only": render_file(GAMMA.files["only"], 1)[:-1]},
            "I3 only is not whole",
        ),
    ],
)
def test_a_class_that_is_not_whole_is_broken(content: dict[str, bytes], text: str) -> None:
    model = _model(GAMMA)
    _read(model, GAMMA, 10.0, _all(GAMMA, 1))
    assert _broken(model, GAMMA, content, 10.5) == [text]


def test_files_of_one_secret_with_two_of_its_values_are_torn() -> None:
    model = _model(ALPHA)
    model.numbers["chaos/shared"].change(2, 9.9, 9.9)
    _read(model, ALPHA, 9.0, _all(ALPHA, 1))
    _read(model, ALPHA, 10.0, _all(ALPHA, 1) | {"chaos/shared": 2})
    content = _files(ALPHA, _all(ALPHA, 1)) | {"shared-two": render_file(ALPHA.files["shared-two"], 2)}
    assert _broken(model, ALPHA, content, 10.5) == ["I3 files of chaos/shared mix its values [1, 2]"]


def test_a_value_past_the_longest_age_is_too_old_unless_aws_was_disturbed() -> None:
    model = _model(GAMMA)
    _read(model, GAMMA, 10.0, _all(GAMMA, 1))
    for name in GAMMA.objects:
        model.numbers[name].change(2, 11.0, 11.1)
    content = _files(GAMMA, _all(GAMMA, 1))
    assert _broken(model, GAMMA, content, 13.0) == [], "it may have been current two seconds ago"
    assert all("too old" in text for text in _broken(model, GAMMA, content, 20.0))
    _read(model, GAMMA, 19.0, {}, Answer.DISTURBED)
    assert _broken(model, GAMMA, content, 20.0) == [], "an outage may be bridged"
    _read(model, GAMMA, 199.0, {}, Answer.DISTURBED)
    assert all("too old" in text for text in _broken(model, GAMMA, content, 200.0)), "but not for ever"


def test_no_age_counts_while_the_machine_let_things_wait_but_whose_value_it_is_does() -> None:
    stall = (15.0, 19.0)
    slow = Model(AGES, lambda start, end: stall[0] <= end and stall[1] >= start)
    for name in GAMMA.objects:
        slow.numbers[name].change(1, 0.0, 0.0)
    _read(slow, GAMMA, 10.0, _all(GAMMA, 1))
    for name in GAMMA.objects:
        slow.numbers[name].change(2, 11.0, 11.1)
    content = _files(GAMMA, _all(GAMMA, 1))
    assert _broken(slow, GAMMA, content, 20.0) == []
    assert all("too old" in text for text in _broken(slow, GAMMA, content, 22.0)), "nor later"
    assert _broken(slow, GAMMA, _files(GAMMA, _all(GAMMA, 3)), 20.0), "which AWS never gave"


def test_a_right_that_was_taken_away_ends_with_the_longest_age() -> None:
    model = _model(GAMMA)
    _read(model, GAMMA, 10.0, _all(GAMMA, 1))
    model.access(GAMMA, "chaos/gamma").change(False, 11.0, 11.1)
    content = _files(GAMMA, _all(GAMMA, 1))
    assert _broken(model, GAMMA, content, 13.0) == []
    (found,) = _broken(model, GAMMA, content, 15.0)
    assert "whose right to it was gone" in found
    _read(model, GAMMA, 14.0, {}, Answer.DISTURBED)
    assert _broken(model, GAMMA, content, 15.0) == [], "no check could be made, and nothing had been refused"


def test_nothing_bridges_a_refusal() -> None:
    model = _model(GAMMA)
    _read(model, GAMMA, 10.0, _all(GAMMA, 1))
    _read(model, GAMMA, 12.0, {}, Answer.DENIED)
    _read(model, GAMMA, 14.0, {}, Answer.DISTURBED)
    content = _files(GAMMA, _all(GAMMA, 1))
    assert len(_broken(model, GAMMA, content, 14.5)) == len(GAMMA.objects)
    assert all("after AWS had refused it" in text for text in _broken(model, GAMMA, content, 14.5))
    _read(model, GAMMA, 15.0, _all(GAMMA, 1))
    assert _broken(model, GAMMA, content, 15.5) == [], "what was read after the refusal is fine"


def test_a_refusal_counts_from_when_the_provider_can_have_acted_on_it() -> None:
    model = _model(GAMMA)
    _read(model, GAMMA, 10.0, _all(GAMMA, 1))
    _read(model, GAMMA, 12.0, {}, Answer.DENIED)
    _read(model, GAMMA, 12.0, {}, Answer.DISTURBED)
    content = _files(GAMMA, _all(GAMMA, 1))
    assert _broken(model, GAMMA, content, 12.0 + SETTLE_SECONDS) == []
    assert _broken(model, GAMMA, content, 12.1 + SETTLE_SECONDS) != []


def test_a_refused_exchange_is_about_every_object() -> None:
    model = _model(GAMMA)
    _read(model, GAMMA, 10.0, _all(GAMMA, 1))
    exchange = Call(identity=GAMMA.identity, objects=(), began=12.0, ended=12.1, answer=Answer.DENIED)
    model.note_call(exchange)
    assert all(exchange.refuses(name) for name in GAMMA.objects)
    assert len(_broken(model, GAMMA, _files(GAMMA, _all(GAMMA, 1)), 13.9)) == len(GAMMA.objects)


def test_an_object_that_is_missing_is_refused_and_the_rest_of_its_batch_is_not() -> None:
    call = Call(identity=ALPHA.identity, objects=("/a", "/b"), began=1.0, ended=1.1, answer=Answer.VALUES)
    call.numbers, call.missing = {"/a": 1}, ("/b",)
    assert (call.refuses("/a"), call.refuses("/b")) == (False, True)


def test_a_refusal_that_came_too_late_to_be_heard_proves_nothing() -> None:
    late = Call(identity=ALPHA.identity, objects=("/a",), began=1.0, ended=4.0, answer=Answer.DENIED)
    assert not late.refuses("/a")
    assert late.is_disturbance


def test_a_call_without_an_answer_is_a_disturbance_as_long_as_it_lasts() -> None:
    model = Model(AGES)
    model.note_call(Call(identity=ALPHA.identity, objects=("/a",), began=5.0))
    assert not model.was_disturbed(ALPHA.identity, 0.0, 4.9)
    assert model.was_disturbed(ALPHA.identity, 50.0, 51.0)
    assert not model.was_disturbed(GAMMA.identity, 50.0, 51.0), "of that identity only"


def test_a_change_may_have_happened_at_either_end_of_its_span() -> None:
    timeline = Timeline("old")
    timeline.change("new", 10.0, 12.0)
    assert set(timeline.possible(9.0, 9.9)) == {"old"}
    assert set(timeline.possible(10.5, 11.0)) == {"old", "new"}
    assert set(timeline.possible(12.1, 13.0)) == {"new"}
    assert timeline.last == "new"
