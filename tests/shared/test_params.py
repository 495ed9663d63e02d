from typing import ClassVar, Literal

import pytest
from pydantic import ValidationError

from shared.params import Params, fingerprint, with_present_names


class Old(Params):
    size: int = 3


class New(Params):
    size: int = 3
    colour: str = "red"


class Square(Params):
    kind: Literal["square"] = "square"


class Round(Params):
    kind: Literal["round"] = "round"


class Shapes(Params):
    shapes: tuple[Square | Round, ...] = ()


def test_a_new_field_with_its_default_keeps_the_old_name():
    assert fingerprint(Old(size=4).identity()) == fingerprint(New(size=4).identity())


def test_another_value_gives_another_name():
    assert fingerprint(New(colour="blue").identity()) != fingerprint(New().identity())


def test_two_plug_ins_with_untouched_fields_do_not_look_alike():
    assert Shapes(shapes=(Square(),)).identity() != Shapes(shapes=(Round(),)).identity()


def test_an_unknown_key_and_a_change_in_place_are_refused():
    with pytest.raises(ValidationError):
        New(color="red")
    with pytest.raises(ValidationError):
        New().size = 5


class Before(Params):
    large_size: int = 3


class After(Params):
    former_names: ClassVar = {"global_size": "large_size"}

    global_size: int = 3


class Whole(Params):
    crops: After = After()
    several: tuple[After, ...] = ()


def test_a_former_name_is_read_and_names_the_result_as_before():
    assert After(large_size=5) == After(global_size=5)
    assert After(large_size=5).model_dump() == {"global_size": 5}
    assert After(global_size=5).identity() == Before(large_size=5).identity()
    whole = Whole.model_validate({"crops": {"large_size": 5}, "several": [{"large_size": 7}]})
    assert whole.identity() == {"crops": {"large_size": 5}, "several": [{"large_size": 7}]}


def test_a_former_and_a_present_name_together_are_refused_by_both_names():
    with pytest.raises(ValidationError, match="large_size is the former name of global_size, got both: 5 and 6"):
        After(large_size=5, global_size=6)


def test_raw_values_take_present_names_at_any_depth_and_keep_what_is_given_twice():
    raw = {"crops": {"large_size": 5}, "several": [{"large_size": 7}], "unknown": {"large_size": 1}}
    assert with_present_names(raw, Whole) == {
        "crops": {"global_size": 5},
        "several": [{"global_size": 7}],
        "unknown": {"large_size": 1},
    }
    twice = {"large_size": 5, "global_size": 6}
    assert with_present_names(twice, After) == twice
