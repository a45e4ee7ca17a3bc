"""A fit that ends before it has validated anything."""


def test_fewer_steps_than_an_epoch_end_with_a_checkpoint_and_one_sentence(zoo, capfd) -> None:
    assert zoo("fit", "short", "--trainer.max_steps", "2") == 0
    said = capfd.readouterr().err
    assert said.count("Nothing was validated in 2 steps: the checkpoint holds the weights of the last step.") == 1
    assert "Early stopping conditioned" not in said
    assert zoo("test", "short") == 0
