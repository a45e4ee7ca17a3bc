from recsys.errors import InputError, did_you_mean


def test_a_misspelt_name_is_answered_by_the_nearest():
    assert did_you_mean("SASrec", ["BERT4Rec", "SASRec"]) == " Did you mean 'SASRec'?"


def test_a_name_like_no_other_is_answered_by_all():
    assert did_you_mean("x", {"b", "a"}) == " Known: a, b."


def test_of_hundreds_of_names_nobody_reads_all():
    said = did_you_mean("x", [f"name{i:03}" for i in range(300)])
    assert said.startswith(" Known: name000, name001,")
    assert said.endswith(", name039 and 260 more.")


def test_bad_input_is_a_value_error():
    assert issubclass(InputError, ValueError)
