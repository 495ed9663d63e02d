from typing import Literal

import pytest
from pydantic import ValidationError

from shared.params import Params, fingerprint


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
