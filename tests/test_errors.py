from recsys.errors import InputError, did_you_mean


def test_a_misspelt_name_is_answered_by_the_nearest():
    assert did_you_mean("SASrec", ["BERT4Rec", "SASRec"]) == " Did you mean 'SASRec'?"


def test_a_name_like_no_other_is_answered_by_all():
    assert did_you_mean("x", {"b", "a"}) == " Known: a, b."


def test_bad_input_is_a_value_error():
    assert issubclass(InputError, ValueError)
