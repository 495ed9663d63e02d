from flows.report.run.curves import DECAY, KNN, LOSS, draw


def test_how_many_images_knn_asks_is_no_line_of_its_chart():
    rows = [{"step": step, "knn_top1": 0.1 + step / 100, "knn_queries": 112} for step in range(1, 9)]
    (shown,) = draw(rows, (KNN,))
    assert "knn_top1" in str(shown["chart"])
    assert "knn_queries" not in str(shown["chart"])


def test_a_loss_that_is_zero_throughout_is_no_line_of_the_chart():
    rows = [{"step": step, "loss": 8 - step / 9, "loss_koleo": step - 4, "loss_gram": 0.0} for step in range(1, 9)]
    (shown,) = draw(rows, (LOSS,))
    assert "loss_koleo" in str(shown["chart"])
    assert "loss_gram" not in str(shown["chart"])


def test_a_weight_decay_of_zero_is_drawn():
    assert draw([{"step": step, "weight_decay": 0.0} for step in range(1, 9)], (DECAY,))
